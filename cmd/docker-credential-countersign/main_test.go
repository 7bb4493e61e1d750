package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
)

// TestMain lets the test binary be the helper.
func TestMain(m *testing.M) {
	if os.Getenv("COUNTERSIGN_TEST_HELPER") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newHelper returns the helper with a configuration, as Docker's client runs it, and the
// file of its key.
func newHelper(t *testing.T) (client.ProgramFunc, string) {
	t.Helper()
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("keys = [%q]\n", "file:"+filepath.ToSlash(file)) + `
[registry."registry.example.com:5000"]
helper = ["push", "pull"]
helper_lifetime = "2h"
[registry."localhost:5000"]
helper = ["pull"]
[registry."bearer.example.com"]
`
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) client.Program {
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		cmd.Env = append(os.Environ(), "COUNTERSIGN_TEST_HELPER=1", "COUNTERSIGN_KEY=", "COUNTERSIGN_CONFIG="+filepath.Join(dir, "config.toml"))
		return &program{cmd}
	}, file
}

// A program is a client.Program. That of the client package passes no environment on.
type program struct{ *exec.Cmd }

func (p *program) Input(in io.Reader) { p.Stdin = in }

func TestGet(t *testing.T) {
	helper, _ := newHelper(t)
	for server, origin := range map[string]string{
		"registry.example.com:5000":             "https://registry.example.com:5000",
		"https://REGISTRY.example.com:5000/v2/": "https://registry.example.com:5000",
		"http://localhost:5000":                 "http://localhost:5000",
	} {
		got, err := client.Get(helper, server)
		if err != nil {
			t.Fatal(err)
		}
		if got.Username != "<token>" || got.ServerURL != server {
			t.Errorf("%s: %q at %q", server, got.Username, got.ServerURL)
		}
		h, text, sig, err := challenge.ParseHelperSecret(got.Secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := sig.Verify(text); err != nil {
			t.Error(err)
		}
		if h.Origin.String() != origin || h.Service != strings.SplitN(origin, "/", 3)[2] {
			t.Errorf("%s: a secret for %s, service %s", server, h.Origin, h.Service)
		}
		if origin == "https://registry.example.com:5000" {
			if diff := cmp.Diff([]string{"pull", "push"}, h.Actions); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
			if left := time.Until(h.Expires); left > 2*time.Hour || left < time.Hour {
				t.Errorf("the secret is valid for %v, want 2h", left)
			}
		}
	}
}

func TestGetOther(t *testing.T) {
	helper, file := newHelper(t)
	for _, server := range []string{"ghcr.io", "https://index.docker.io/v1/", "registry.example.com", "not a host", "-"} {
		if _, err := client.Get(helper, server); !credentials.IsErrCredentialsNotFound(err) {
			t.Errorf("%s: %v, want that there are no credentials", server, err)
		}
	}
	for server, want := range map[string]string{
		"bearer.example.com":               "countersign proxy --to https://bearer.example.com",
		"http://registry.example.com:5000": "plain http",
		"":                                 "no credentials server URL",
	} {
		if _, err := client.Get(helper, server); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", server, err, want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(helper, "localhost:5000"); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("without the key: %v", err)
	}
}

func TestBytes(t *testing.T) {
	helper, file := newHelper(t)
	run := func(action, input string) (string, error) {
		p := helper(action).(*program)
		var stderr bytes.Buffer
		p.Stdin, p.Stderr = strings.NewReader(input), &stderr
		out, err := p.Output()
		if stderr.Len() > 0 {
			t.Errorf("%s: %q on stderr, and clients read stdout", action, &stderr)
		}
		return string(out), err
	}
	const login = `{"ServerURL":"localhost:5000","Username":"a","Secret":"b"}`
	readOnly := "countersign makes a secret for each request and stores none: logging in and out is not supported\n"
	for _, c := range []struct{ action, input, want string }{
		{"get", "ghcr.io\n", "credentials not found in native keychain\n"},
		{"store", login, readOnly},
		{"erase", "localhost:5000", readOnly},
		{"unknown", "", "docker-credential-countersign: unknown action: unknown\n"},
	} {
		out, err := run(c.action, c.input)
		if out != c.want || err == nil || err.(*exec.ExitError).ExitCode() != 1 {
			t.Errorf("%s: %q, %v, want %q and exit code 1", c.action, out, err, c.want)
		}
	}
	out, err := run("list", "")
	if want := `{"localhost:5000":"\u003ctoken\u003e","registry.example.com:5000":"\u003ctoken\u003e"}` + "\n"; err != nil || out != want {
		t.Errorf("list: %q, %v, want %q", out, err, want)
	}
	out, err = run("version", "")
	if !strings.HasPrefix(out, "docker-credential-countersign (github.com/countersign/countersign) ") || err != nil {
		t.Errorf("version: %q, %v", out, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run("get", "localhost:5000"); err == nil || !strings.Contains(out, "chmod 600 ") || strings.Count(out, "\n") != 1 {
		t.Errorf("a key that others can read: %q, %v, want one line with the remedy", out, err)
	}
}
