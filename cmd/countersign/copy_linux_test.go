package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
)

// A commandShell runs commands in its directory and environment.
type commandShell struct {
	t   *testing.T
	dir string
	env []string
}

// run runs a command, wants its exit code, and returns what it prints.
func (s commandShell) run(code int, stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != code {
		s.t.Fatalf("%q: %v, want exit code %d\n%s%s", args, err, code, &out, &errs)
	}
	return out.String()
}

// TestCopyBetweenAllStores copies keys of each kind from every store that can
// export to every one that can import, as the backends themselves say. The
// keychain is gnome-keyring, then pass.
func TestCopyBetweenAllStores(t *testing.T) {
	secretservice.Require(t, "ssh-keygen")
	t.Run("secret-service", func(t *testing.T) {
		testCopies(t, commandShell{t, t.TempDir(), secretservice.Start(t).Env()}, "ed25519", "ecdsa", "rsa")
	})
	t.Run("pass", func(t *testing.T) { testCopies(t, withPass(t), "ed25519") })
}

func testCopies(t *testing.T, sh commandShell, kinds ...string) {
	m := backends.New().Mux()
	delete(m, "agent") // testdata/agent.txt has one
	schemes := slices.Sorted(maps.Keys(m))
	for _, kind := range kinds {
		file := filepath.Join(sh.dir, kind)
		sh.run(0, "", "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", file)
		pem, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := sh.run(0, "", "countersign", "key", "show", "file:"+file)
		for _, from := range schemes {
			for _, to := range schemes {
				_, exports := m[from].(signer.Exporter)
				_, imports := m[to].(signer.Importer)
				if exports && imports {
					t.Run(kind+" from "+from+" to "+to, func(t *testing.T) {
						sh := sh
						sh.t = t
						testCopy(sh, string(pem), want, from+":KEY_"+kind+"_"+to, to+":COPY_"+kind+"_"+from)
					})
				}
			}
		}
	}
}

// testCopy wants the key to print as want everywhere.
func testCopy(sh commandShell, pem, want, from, to string) {
	sh.t.Helper()
	same := func(got string) {
		sh.t.Helper()
		if got != want {
			sh.t.Errorf("got the key %q, want %q", got, want)
		}
	}
	if name, ok := strings.CutPrefix(from, "env:"); ok {
		sh.env = append(slices.Clip(sh.env), name+"="+pem)
	} else {
		same(sh.run(0, pem, "countersign", "key", "import", from))
	}
	same(sh.run(0, "", "countersign", "key", "copy", from, to))
	same(sh.run(0, "", "countersign", "key", "show", to))
	if !strings.Contains(from, "ed25519") {
		return // stores treat all kinds alike
	}
	same(sh.run(0, "", "countersign", "key", "show", from))
	same(sh.run(0, "", "countersign", "key", "copy", from, to)) // it is there, and stays

	if strings.HasPrefix(from, "env:") {
		sh.run(1, "", "countersign", "key", "copy", "--delete-source", "--yes", from, to+"2")
		sh.run(3, "", "countersign", "key", "show", to+"2")
		return
	}
	same(sh.run(0, "", "countersign", "key", "copy", "--delete-source", "--yes", from, to+"2"))
	same(sh.run(0, "", "countersign", "key", "show", to+"2"))
	sh.run(3, "", "countersign", "key", "show", from)
}

// withPass returns a commandShell on a machine whose keychain is pass.
func withPass(t *testing.T) commandShell {
	secretservice.Require(t, "pass", "gpg", "gpgconf")
	home, err := os.MkdirTemp("", "gpg") // short: gpg-agent makes sockets in it
	if err != nil {
		t.Fatal(err)
	}
	sh := commandShell{t, home, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GNUPGHOME=" + home, "TMPDIR=" + home, endAtOnce,
		"COUNTERSIGN_CONFIG=" + filepath.Join(home, "config.toml"),
	}}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--kill", "all")
		kill.Env = sh.env
		if out, err := kill.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(`keyring.stores = ["pass"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.run(0, "", "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "x <x@example.test>", "future-default", "default", "never")
	sh.run(0, "", "pass", "init", "x@example.test")
	return sh
}

// TestCopyKilled kills a copy that deletes its source, later each time: the key
// is whole in one of the two places at least, and nothing else is.
func TestCopyKilled(t *testing.T) {
	secretservice.Require(t, "ssh-keygen")
	env := secretservice.Start(t).Env()
	killed := 0
	for _, to := range []string{"file:copy", "keyring:copy"} {
		for delay := time.Duration(0); delay < 120*time.Millisecond; delay += 20 * time.Millisecond {
			sh := commandShell{t, t.TempDir(), env}
			want := sh.run(0, "", "countersign", "key", "generate", "file:key")
			ctx, cancel := context.WithTimeout(t.Context(), delay)
			cmd := exec.CommandContext(ctx, "countersign", "key", "copy", "--delete-source", "--yes", "file:key", to)
			cmd.Dir, cmd.Env = sh.dir, sh.env
			if cmd.Run() != nil {
				killed++
			}
			cancel()
			if !holds(t, sh, "file:key", want) && !holds(t, sh, to, want) {
				t.Fatalf("killed after %v, the key is neither in file:key nor in %s", delay, to)
			}
			if holds(t, sh, to, "") {
				sh.run(0, "", "countersign", "key", "delete", "--yes", to)
			}
		}
	}
	if killed == 0 {
		t.Error("no copy was killed: start with less delay")
	}
}

// holds reports whether there is a key at ref. It must be the one that prints as
// want, if that is not empty.
func holds(t *testing.T, sh commandShell, ref, want string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "countersign", "key", "show", ref)
	cmd.Dir, cmd.Env = sh.dir, sh.env
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != exitNoKey {
		t.Fatalf("a broken key at %s: %v", ref, err)
	}
	if err == nil && want != "" && string(out) != want {
		t.Fatalf("another key at %s: %s", ref, out)
	}
	return err == nil
}

// TestMoveToForgetfulStore wants no key deleted whose copy is gone at a reboot.
func TestMoveToForgetfulStore(t *testing.T) {
	secretservice.Require(t, "keyctl")
	sh := commandShell{t, t.TempDir(), os.Environ()}
	writeFile(t, filepath.Join(sh.dir, "config.toml"), "[keyring]\nstores = [\"keyctl\"]\n")
	sh.env = append(sh.env, "COUNTERSIGN_CONFIG="+filepath.Join(sh.dir, "config.toml"))
	want := sh.run(0, "", "countersign", "key", "generate", "file:key")
	in := func(command string) []string {
		return []string{"keyctl", "session", "-", "sh", "-c", "keyctl link @u @s && " + command}
	}
	told := sh.run(0, "", in("! countersign key copy --delete-source --yes file:key keyring:forgotten-move 2>&1 && ! countersign key show keyring:forgotten-move 2>/dev/null")...)
	if !strings.Contains(told, "forgets its keys at a reboot") || !strings.Contains(told, "without --delete-source") {
		t.Errorf("got %q", told)
	}
	if got := sh.run(0, "", "countersign", "key", "show", "file:key"); got != want {
		t.Errorf("the source is %q, want %q", got, want)
	}
	sh.run(0, "", in("countersign key copy file:key keyring:forgotten-move && countersign key delete --yes keyring:forgotten-move")...)
}
