package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/signin"
	"github.com/countersign/countersign/signer"
)

// run runs the command in a folder.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = (&app{stdout: &out, stderr: &errs}).execute(t.Context(), args)
	return code, out.String(), errs.String()
}

// initialised makes a gate in a new folder, which it enters.
func initialised(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv(configVariable, "countersignd.toml")
	code, stdout, stderr := run(t, "init", "--origin", "https://reg.example", "--registry", "http://127.0.0.1:5000", "--blobs", "https://blobs.example.net", "--listen", "127.0.0.1:8080")
	if code != exitDone || !strings.Contains(stdout, "rootcertbundle: ") || !strings.Contains(stdout, "countersignd check") {
		t.Fatalf("%d\n%s%s", code, stdout, stderr)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInitAndCheck(t *testing.T) {
	initialised(t)
	if code, stdout, stderr := run(t, "check"); code != exitDone || stdout != "no mistakes; keys: 0, grants: 0, sites: 1\n" || stderr != "" {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := run(t, "init", "--origin", "https://reg.example", "--registry", "http://127.0.0.1:5000", "--listen", "127.0.0.1:8080"); code != exitFailed || !strings.Contains(stderr, "hint: ") {
		t.Errorf("again: %d\n%s", code, stderr)
	}
}

func TestInitWithoutTLSNeedsLoopback(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, stderr := run(t, "init", "--config", "countersignd.toml", "--origin", "https://reg.example", "--registry", "http://127.0.0.1:5000", "--listen", ":443")
	if code != exitFailed || !strings.Contains(stderr, "is not on loopback") {
		t.Errorf("%d\n%s", code, stderr)
	}
}

func TestCheckReportsEveryMistake(t *testing.T) {
	initialised(t)
	line := signer.AuthorizedKey(gatetest.NewKey(t).PublicKey())
	write(t, "authorized_keys", "# keys\nrestrict "+line+" a\n"+line+" alice\n\nnonsense\n")
	write(t, "grants.toml", "[[grant]]\nnames = [\"alice\", \"bob\"]\nrepositories = [\"a\"]\nactions = [\"pull\"]\n[[grant]]\nnames = [\"x y\"]\n")
	write(t, "token.crt", "nothing")
	code, stdout, stderr := run(t, "check")
	if code != exitFailed || stdout != "" {
		t.Errorf("%d %q", code, stdout)
	}
	var places []string
	for line := range strings.Lines(stderr) {
		places = append(places, strings.SplitAfterN(line, ": ", 2)[0])
	}
	want := []string{"authorized_keys:2: ", "authorized_keys:5: ", "grants.toml:5: ", "grants.toml:6: ", "token.crt: "}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, stderr)
	}
	write(t, "grants.toml", "[[grant]]\nnames = [\"alice\", \"bob\"]\nrepositories = [\"a\"]\nactions = [\"pull\"]\n")
	if _, _, stderr := run(t, "check"); !strings.Contains(stderr, "warning: grants.toml:1: no key has the name bob") {
		t.Errorf("no warning:\n%s", stderr)
	}
}

func TestKeysAndExplain(t *testing.T) {
	initialised(t)
	key := gatetest.NewKey(t).PublicKey()
	fingerprint := ssh.FingerprintSHA256(key)
	write(t, "authorized_keys", `from="10.0.0.0/8",expiry-time="20200101Z" `+signer.AuthorizedKey(key)+" alice\nnonsense\n")
	write(t, "grants.toml", `[[grant]]
names = ["alice"]
repositories = ["users/${name}/*"]
actions = ["pull", "push"]
[[grant]]
names = ["*"]
catalog = true
[[grant]]
anonymous = true
repositories = ["public"]
actions = ["pull"]
`)
	_, stdout, _ := run(t, "keys")
	for _, want := range []string{"alice", fingerprint, "expired 2020-01-01 00:00:00 UTC", "from 10.0.0.0/8", "no key: authorized_keys:2: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("keys: no %q in\n%s", want, stdout)
		}
	}
	const grants = `at https://reg.example:
  pull, push users/alice/* (grants.toml:1)
  list all repositories, as everyone with an enrolled key may (grants.toml:5)
  pull public, as everyone may (grants.toml:8)
`
	for _, who := range []string{"alice", fingerprint} {
		if _, stdout, _ := run(t, "explain", who); !strings.HasSuffix(stdout, grants) || !strings.Contains(stdout, fingerprint+" (line 1): expired") {
			t.Errorf("explain %s:\n%s", who, stdout)
		}
	}
	for who, want := range map[string]string{
		"anonymous": "clients without a key\nat https://reg.example:\n  pull public, as everyone may (grants.toml:8)\n",
		"carol":     "no key has the name carol: the grants below hold for nobody yet\n",
	} {
		if _, stdout, _ := run(t, "explain", who); !strings.HasPrefix(stdout, want) {
			t.Errorf("explain %s:\n%s", who, stdout)
		}
	}
	_, stdout, _ = run(t, "explain", "alice", "repository:users/alice/a:pull,delete", "repository:b:pull")
	if want := "  repository:users/alice/a:pull,delete: granted: repository:users/alice/a:pull\n  repository:b:pull: refused: no grant\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("explain with scopes:\n%s", stdout)
	}
	for _, args := range [][]string{{"explain", "SHA256:x"}, {"explain", "a b"}, {"explain", "alice", "x"}} {
		if code, _, stderr := run(t, args...); code != exitFailed || stderr == "" {
			t.Errorf("%q: %d %q", args, code, stderr)
		}
	}
}

func TestRule07_Approve(t *testing.T) {
	initialised(t)
	key := gatetest.NewKey(t).PublicKey()
	fingerprint := ssh.FingerprintSHA256(key)
	if code, _, stderr := run(t, "approve", fingerprint, "alice"); code != exitFailed || !strings.Contains(stderr, "hint: ") {
		t.Errorf("a key that does not wait: %d %s", code, stderr)
	}
	if err := signin.NewPending("pending.json").Add(t.Context(), key, "192.0.2.1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := run(t, "approve"); code != exitDone || !strings.Contains(stdout, fingerprint) || !strings.Contains(stdout, "from 192.0.2.1") {
		t.Errorf("the list: %d %s", code, stdout)
	}
	for _, name := range []string{"", "a b", "*", "x\ny"} {
		if code, _, _ := run(t, "approve", fingerprint, name); code == exitDone {
			t.Errorf("the name %q was accepted", name)
		}
	}
	write(t, "authorized_keys", "# no line end")
	if code, _, stderr := run(t, "approve", fingerprint, "alice"); code != exitDone {
		t.Fatalf("%d %s", code, stderr)
	}
	data, err := os.ReadFile("authorized_keys")
	if want := "# no line end\n" + signer.AuthorizedKey(key) + " alice\n"; err != nil || string(data) != want {
		t.Errorf("%q, %v", data, err)
	}
	if _, stdout, stderr := run(t, "approve"); stdout != "" || !strings.Contains(stderr, "no key waits") {
		t.Errorf("afterwards: %q %q", stdout, stderr)
	}
	// Approval grants nothing.
	if _, stdout, _ := run(t, "explain", "alice"); !strings.Contains(stdout, "nothing: no grant holds for this name") {
		t.Errorf("explain:\n%s", stdout)
	}
	if err := signin.NewPending("pending.json").Add(t.Context(), key, "192.0.2.1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run(t, "approve", fingerprint, "bob"); code != exitFailed || !strings.Contains(stderr, "authorized_keys:2, name alice") {
		t.Errorf("an enrolled key: %d %s", code, stderr)
	}
	if code, _, _ := run(t, "approve", "--forget", fingerprint); code != exitDone {
		t.Errorf("--forget: %d", code)
	}
	if _, stdout, _ := run(t, "approve"); stdout != "" {
		t.Errorf("after --forget: %q", stdout)
	}
}

func TestRotate(t *testing.T) {
	initialised(t)
	before, err := os.ReadFile("token.crt")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := run(t, "rotate"); code != exitDone || stdout != "made "+filepath.Join(".", "token.crt")+"\n" {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	if after, err := os.ReadFile("token.crt"); err != nil || bytes.Equal(before, after) {
		t.Errorf("the certificate is the old one, %v", err)
	}
	if code, _, stderr := run(t, "check"); code != exitDone {
		t.Errorf("check: %d %s", code, stderr)
	}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(configVariable, "")
	for _, args := range [][]string{{"nonsense"}, {"explain"}, {"init"}, {"check", "x"}, {"serve", "--nonsense"}} {
		if code, _, stderr := run(t, args...); code != exitUsage || !strings.Contains(stderr, "Try: countersignd") {
			t.Errorf("%q: %d %q", args, code, stderr)
		}
	}
	if code, _, stderr := run(t, "check", "--config", "none.toml"); code != exitFailed || !strings.Contains(stderr, "countersignd init") {
		t.Errorf("without a configuration: %d %q", code, stderr)
	}
}
