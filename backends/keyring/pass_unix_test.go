//go:build unix

package keyring_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// passStore makes a password store with a gpg key of its own, and returns the
// environment in which pass uses it.
func passStore(t *testing.T, passphrase string) []string {
	t.Helper()
	secretservice.Require(t, "pass", "gpg", "gpgconf")
	dir, err := os.MkdirTemp("", "gpg") // short: gpg-agent makes sockets in it
	if err != nil {
		t.Fatal(err)
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GNUPGHOME=" + dir, "TMPDIR=" + dir,
		"PASSWORD_STORE_DIR=" + filepath.Join(dir, "store"), "LC_ALL=C.UTF-8",
		"GORACE=atexit_sleep_ms=0", // or a program with -race takes a second to end
	}
	tool := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		tool("gpgconf", "--kill", "all")
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// The least count: gpg-agent would take seconds to protect a key.
	if err := os.WriteFile(filepath.Join(dir, "gpg-agent.conf"), []byte("s2k-count 65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "--quick-generate-key", "x <x@example.test>", "future-default", "default", "never")
	tool("pass", "init", "x@example.test")
	return env
}

// setEnv sets variables of this process until the test ends.
func setEnv(t *testing.T, env []string) {
	t.Helper()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
}

var passOnly = []keyring.Store{keyring.Pass}

func TestPass(t *testing.T) {
	setEnv(t, passStore(t, ""))
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{Backend: &keyring.Backend{Stores: passOnly, Timeout: patience}, BadNames: badNames}
	})
}

func TestPassRace(t *testing.T) { testRace(t, passStore(t, ""), keyring.Pass) }

func TestPassKill(t *testing.T) { testKill(t, passStore(t, ""), keyring.Pass, 50) }

func TestPassStates(t *testing.T) {
	env := passStore(t, "")
	setEnv(t, env)
	store := os.Getenv("PASSWORD_STORE_DIR")
	tests := []struct {
		name    string
		arrange func(t *testing.T)
		is      error // nil: none of the sentinels
		text    string
	}{
		{"absent", func(*testing.T) {}, signer.ErrNotFound, "pass"},
		{"not installed", func(t *testing.T) { t.Setenv("PATH", t.TempDir()) }, signer.ErrUnavailable, "not installed"},
		{"no store", func(t *testing.T) { t.Setenv("PASSWORD_STORE_DIR", t.TempDir()) }, signer.ErrUnavailable, "there is no store in"},
		{"no home", func(t *testing.T) { t.Setenv("PASSWORD_STORE_DIR", ""); t.Setenv("HOME", "") }, signer.ErrUnavailable, "neither PASSWORD_STORE_DIR nor HOME"},
		{"left by a process killed before it gave pass the key", func(t *testing.T) { insert(t, store, "") }, signer.ErrNotFound, "pass"},
		{"left by a gpg that was killed", func(t *testing.T) {
			insert(t, store, "")
			if err := os.Truncate(filepath.Join(store, "countersign/key.gpg"), 0); err != nil {
				t.Fatal(err)
			}
		}, signer.ErrNotFound, "pass"},
		{"another program's", func(t *testing.T) { insert(t, store, "a password") }, nil, "not one of this program's"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.arrange(t)
			_, err := (&keyring.Backend{Stores: passOnly, Timeout: patience}).Open(t.Context(), "key")
			t.Log(err)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || tt.is == nil && len(kindsOf(err)) != 0 || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Open: got error %v, want %v %q", err, tt.is, tt.text)
			}
		})
	}
}

func insert(t *testing.T, store, text string) {
	t.Helper()
	cmd := exec.Command("pass", "insert", "-m", "-f", "countersign/key")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pass insert: %v: %s", err, out)
	}
	t.Cleanup(func() { os.Remove(filepath.Join(store, "countersign/key.gpg")) })
}

// TestPassLocked has a gpg key with a passphrase, which nobody gives.
func TestPassLocked(t *testing.T) {
	env := passStore(t, "passphrase")
	setEnv(t, env)
	b := &keyring.Backend{Stores: passOnly, Timeout: patience}
	if err := b.Import(t.Context(), "key", signertest.NewKey(t)); !errors.Is(err, signer.ErrLocked) {
		t.Logf("Import: %v", err) // it encrypts, which needs no passphrase, and cannot read back
	}
	if out, err := exec.Command("gpgconf", "--kill", "all").CombinedOutput(); err != nil {
		t.Fatalf("gpgconf: %v: %s", err, out)
	}
	_, err := b.Open(context.Background(), "key")
	if hint, _ := signer.HintOf(err); !errors.Is(err, signer.ErrLocked) || hint.See != "keychain#pass" {
		t.Errorf("Open: got error %v, %+v, want ErrLocked", err, hint)
	}
}
