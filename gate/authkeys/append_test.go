package authkeys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/signer"
)

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorized_keys")
	alice, bob := gatetest.NewKey(t).PublicKey(), gatetest.NewKey(t).PublicKey()
	if err := authkeys.Append(path, alice, "alice"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	line := signer.AuthorizedKey(alice) + " alice\n"
	for before, want := range map[string]string{"": line, "# keys\n": "# keys\n" + line, "# keys": "# keys\n" + line} {
		if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := authkeys.Append(path, alice, "alice"); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != want {
			t.Errorf("after %q: %q, %v", before, data, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode changed: %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := authkeys.Append(path, alice, "carol"); !errors.Is(err, authkeys.ErrEnrolled) || !strings.Contains(err.Error(), "name alice") {
		t.Errorf("an enrolled key: %v", err)
	}
	for _, name := range []string{"", "a b", "a\nb", "*", strings.Repeat("a", 65)} {
		if err := authkeys.Append(path, bob, name); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("a refusal changed the file: %q, %v", after, err)
	}
	if err := authkeys.Append(filepath.Join(path, "no\x1bfolder"), alice, "alice"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("an odd path: %q", err)
	}
}
