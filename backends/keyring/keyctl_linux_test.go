package keyring_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

var keyctlOnly = []keyring.Store{keyring.KeyCtl}

// inSession runs the calling test again in a session keyring of its own, after
// the shell has run prepare. It reports whether this is that run.
func inSession(t *testing.T, prepare string) bool {
	t.Helper()
	secretservice.Require(t, "keyctl")
	const inside = "KEYCTL_TEST_INSIDE"
	if os.Getenv(inside) != "" {
		return true
	}
	script := prepare + ` && exec "$0" -test.v -test.run="^$1$"`
	cmd := exec.CommandContext(t.Context(), "keyctl", "session", "-", "sh", "-c", script, os.Args[0], t.Name())
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in a session of its own: %v\n%s", err, out)
	}
	t.Logf("in a session of its own:\n%s", out)
	return false
}

const linked = "keyctl link @u @s"

func TestKeyCtl(t *testing.T) {
	if !inSession(t, linked) {
		return
	}
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{Backend: &keyring.Backend{Stores: keyctlOnly, Timeout: patience}, BadNames: badNames}
	})
}

// A program that keeps opened keys uses the new key after a key was deleted and
// made again.
func TestReplacedKeyIsStale(t *testing.T) {
	if !inSession(t, linked) {
		return
	}
	store := &keyring.Backend{Stores: keyctlOnly, Timeout: patience}
	program := &signer.Keeper{Backend: signer.Mux{"keyring": store}}
	for range 2 {
		made, err := store.Generate(t.Context(), "replaced")
		if err != nil {
			t.Fatal(err)
		}
		s, err := program.Open(t.Context(), "keyring:replaced")
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign(t.Context(), []byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		if err := made.PublicKey().Verify([]byte("message"), sig); err != nil {
			t.Errorf("the program does not sign with the key that was just made: %v", err)
		}
		if err := store.Delete(t.Context(), "replaced"); err != nil {
			t.Fatal(err)
		}
	}
}

// The kernel lets a session look for keys in the user's keyring only if it is
// linked to it.
func TestKeyCtlNotLinked(t *testing.T) {
	if !inSession(t, "true") {
		return
	}
	_, err := (&keyring.Backend{Stores: keyctlOnly}).Open(t.Context(), "key")
	if hint, _ := signer.HintOf(err); !errors.Is(err, signer.ErrDenied) || hint.Do != "keyctl link @u @s" {
		t.Errorf("Open: got error %v, %+v, want ErrDenied and the command that helps", err, hint)
	}
}

func TestKeyCtlItems(t *testing.T) {
	if !inSession(t, linked) {
		return
	}
	b := &keyring.Backend{Stores: keyctlOnly, Timeout: patience}
	name := "items/of a test"
	if _, err := b.Generate(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", `keyctl pipe $(keyctl search @u user "countersign:`+name+`")`).CombinedOutput(); !strings.Contains(string(out), "OPENSSH PRIVATE KEY") {
		t.Errorf("keyctl shows %v: %s", err, out)
	}
	infos, err := b.List(t.Context())
	if err != nil || !slices.ContainsFunc(infos, func(i signer.Info) bool { return i.Name == name }) {
		t.Errorf("List: %v, %v", infos, err)
	}
	if err := b.Delete(t.Context(), name); err != nil {
		t.Error(err)
	}
}

// TestIsVolatile wants a warning of the stores that forget their keys, and no other.
func TestIsVolatile(t *testing.T) {
	if !inSession(t, linked) {
		return
	}
	for _, tt := range []struct {
		stores []keyring.Store
		want   bool
	}{
		{keyctlOnly, true},
		{[]keyring.Store{keyring.KWallet, keyring.KeyCtl}, true}, // the first store that is there
	} {
		b := &keyring.Backend{Stores: tt.stores, Timeout: patience}
		if got, err := b.IsVolatile(t.Context()); err != nil || got != tt.want {
			t.Errorf("IsVolatile of %v = %v, %v, want %v", tt.stores, got, err, tt.want)
		}
	}
	if _, err := (&keyring.Backend{Stores: []keyring.Store{}}).IsVolatile(t.Context()); !errors.Is(err, signer.ErrUnavailable) {
		t.Errorf("IsVolatile without stores = %v, want ErrUnavailable", err)
	}
}
