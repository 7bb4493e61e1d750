// Package arrows_test holds the plan of the house: which room may import which,
// and what each costs whoever imports it. docs/decisions.md has the reasons.
package arrows_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/countersign/countersign"

// rooms says, for each room, which packages outside the standard library it may
// be built from, itself included. The first pattern that matches a package's
// path, less the module's, is its room.
var rooms = []struct{ name, room, mayUse string }{
	{"signer", `^signer$`, `^(signer|golang\.org/x/crypto/.*|golang\.org/x/sys/cpu)$`},
	{"signertest", `^(signer/signertest|internal/conformance)$`, `^(signer(/signertest)?|internal/conformance|golang\.org/x/crypto/.*|golang\.org/x/sys/cpu)$`},
	{"guard", `^guard$`, `^(guard|signer|golang\.org/x/crypto/.*|golang\.org/x/sys/cpu)$`},
	{"challenge", `^challenge$`, `^(challenge|signer|internal/(printable|redact|retryafter)|golang\.org/x/(crypto|sync)/.*|golang\.org/x/sys/cpu|github\.com/cenkalti/backoff/v7)$`},
	{"proxy", `^proxy$`, `^(proxy|challenge|signer|internal/(printable|redact|retryafter)|golang\.org/x/(crypto|sync|sys)/.*|github\.com/cenkalti/backoff/v7)$`},
	{"challengetest", `^challenge/challengetest$`, `^(challenge(/challengetest)?|signer|internal/(printable|redact|retryafter)|golang\.org/x/(crypto|sync)/.*|golang\.org/x/sys/cpu|github\.com/cenkalti/backoff/v7)$`},
	{"keyring", `^backends/keyring(/|$)`, `^(backends/keyring(/.*)?|signer|internal/(access|filelock|key.*|printable|shell)|[^/]+\.[^/]+/.*)$`},
	{"plugin", `^backends/plugin(/|$)`, `^(signer|internal/(access|pluginwire|printable|shell)|golang\.org/x/(crypto|sys)/.*)$`},
	{"agent", `^backends/agent$`, `^(backends/agent|signer|internal/printable|golang\.org/x/(crypto|sys)/.*|github\.com/Microsoft/go-winio(/.*)?)$`},
	{"vault", `^backends/vault$`, `^(signer|internal/(access|key.*|printable|redact|shell)|golang\.org/x/(crypto|sys)/.*)$`},
	{"backend", `^backends/[a-z]+(/|$)`, `^(backends/[a-z]+|signer|internal/(access|filelock|key.*|printable|shell)|golang\.org/x/(crypto|sys)/.*)$`},
	{"backends", `^backends$`, `^(backends(/.*)?|signer|internal/.*|[^/]+\.[^/]+/.*)$`},
	{"config", `^config$`, `^(config|challenge|guard|backends(/.*)?|signer|internal/.*|[^/]+\.[^/]+/.*)$`},
	{"askpass", `^askpass$`, `^(askpass|signer|internal/printable|golang\.org/x/crypto/.*|golang\.org/x/sys/cpu)$`},
	{"signin", `^signin$`, `^(signin|askpass|config|challenge|guard|backends(/.*)?|signer|internal/.*|[^/]+\.[^/]+/.*)$`},
	{"ollama", `^ollama$`, `^(ollama|challenge|guard|signer|internal/(printable|redact|retryafter)|golang\.org/x/(crypto|sync)/.*|golang\.org/x/sys/cpu|github\.com/cenkalti/backoff/v7)$`},
	{"auth", `^ollama/auth$`, `^(ollama(/auth)?|config|challenge|guard|backends(/.*)?|signer|internal/.*|[^/]+\.[^/]+/.*)$`},
	{"internal", `^internal/(access|key)`, `^(internal/(access|filelock|key.*|printable|shell)|signer|golang\.org/x/(crypto|sys)/.*)$`},
}

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

func TestArrowsPointDown(t *testing.T) {
	for _, goos := range []string{"linux", "windows"} {
		t.Run(goos, func(t *testing.T) { checkArrows(t, list(t, goos)) })
	}
}

func checkArrows(t *testing.T, all map[string]pkg) {
	t.Helper()
	seen := map[string]bool{}
	for path, p := range all {
		for _, r := range rooms {
			if !strings.HasPrefix(path, module+"/") || !regexp.MustCompile(r.room).MatchString(short(path)) {
				continue
			}
			seen[r.name] = true
			may := regexp.MustCompile(r.mayUse)
			for _, dep := range p.Deps {
				if !all[dep].Standard && !may.MatchString(short(dep)) {
					t.Errorf("%s is built from %s, which a %s may not be", short(path), short(dep), r.name)
				}
			}
			break
		}
	}
	for _, r := range rooms {
		if !seen[r.name] {
			t.Errorf("no package is a %s any more: mend the table", r.name)
		}
	}
}

func TestBackendsKnowNoOther(t *testing.T) {
	backend := regexp.MustCompile(`^backends/[a-z]+`)
	for path, p := range list(t, runtime.GOOS) {
		own := backend.FindString(short(path))
		for _, dep := range p.Deps {
			if other := backend.FindString(short(dep)); own != "" && other != "" && own != other {
				t.Errorf("%s imports %s", short(path), short(dep))
			}
		}
	}
}

// A library of one backend must not reach programs that use another. The command
// serves keys on a pipe, and so uses the library of backends/agent too.
func TestOnlyOneBackendImportsItsLibrary(t *testing.T) {
	for library, mayImport := range map[string][]string{
		"github.com/99designs/keyring":  {"backends/keyring"},
		"github.com/Microsoft/go-winio": {"backends/agent", "internal/agentserver"},
	} {
		importers := 0
		for path, p := range list(t, "windows") {
			if !slices.Contains(p.Imports, library) || strings.HasPrefix(path, library) {
				continue
			}
			importers++
			if !slices.Contains(mayImport, short(path)) {
				t.Errorf("%s imports %s", short(path), library)
			}
		}
		if importers == 0 {
			t.Errorf("nothing imports %s any more: mend this test", library)
		}
	}
}

// TestHeadlessPrograms is the promise to a program that needs no keychain.
func TestHeadlessPrograms(t *testing.T) {
	all := list(t, runtime.GOOS)
	for _, path := range []string{"signer", "guard", "challenge", "ollama", "backends/env", "backends/file", "backends/vault"} {
		for _, dep := range all[module+"/"+path].Deps {
			if strings.Contains(dep, "dbus") || strings.Contains(dep, "keyring") {
				t.Errorf("%s is built from %s", path, dep)
			}
		}
	}
}

// TestCommandContainsNoTestCode holds that the command's users do not get Go's
// testing packages: package testing adds flags, and net/http/httptest adds a
// server with a known private key.
func TestCommandContainsNoTestCode(t *testing.T) {
	command, ok := list(t, runtime.GOOS)[module+"/cmd/countersign"]
	if !ok {
		t.Fatal("the command is in another package now: correct this test")
	}
	for _, dep := range command.Deps {
		if testCode.MatchString(dep) {
			t.Errorf("the command is built from %s", dep)
		}
	}
}

// testCode is code that only tests use.
var testCode = regexp.MustCompile(`^(net/http/httptest|testing(/.*)?|.*/(signertest|gatetest))$`)

// list returns the packages that this module is built from on a system.
func list(t *testing.T, goos string) map[string]pkg {
	t.Helper()
	return listIn(t, ".", goos, module+"/...")
}

// listIn returns the packages that those of a pattern are built from, in the module of a
// folder.
func listIn(t *testing.T, dir, goos, pattern string) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps", pattern)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func short(path string) string { return strings.TrimPrefix(path, module+"/") }
