// Package plugintest runs plugins for measurements: the test binary itself as a
// plugin, and plugin pkcs11 on SoftHSM.
package plugintest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/backends/plugin/pluginmain"
	"github.com/countersign/countersign/signer"
)

const prefix = "countersign-backend-"

// Play answers one call and ends the process if the test binary has the name of a
// plugin that Open made. TestMain calls it first.
func Play() {
	name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), prefix)
	if !ok {
		return
	}
	pluginmain.Main("a key in memory", signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
		key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
		if err != nil || name != "hangs" {
			return key, err
		}
		return signer.Func(key.PublicKey(), func(context.Context, []byte) (*ssh.Signature, error) { select {} }), nil
	}))
	os.Exit(0)
}

// New returns the backend of a plugin in Go, and the name of its key.
func New(t *testing.T) (b *plugin.Backend, key string) { return newNamed(t, "signs") }

// Open opens the key of a plugin in Go.
func Open(t *testing.T) signer.Signer {
	b, key := New(t)
	return open(t, b, key)
}

// OpenHanging opens the key of a plugin that never signs.
func OpenHanging(t *testing.T) signer.Signer {
	b, key := newNamed(t, "hangs")
	return open(t, b, key)
}

func newNamed(t *testing.T, name string) (*plugin.Backend, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(privateDir(t), prefix+name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or a plugin with -race takes a second to end
	return &plugin.Backend{Programs: map[string]plugin.Program{name: {Path: path, Environment: []string{"GORACE"}}}}, name + ":key"
}

const (
	// SoftHSM is the path of SoftHSM's module.
	SoftHSM = "/usr/lib/softhsm/libsofthsm2.so"

	// PIN is the PIN of the token t1 that NewPKCS11 makes.
	PIN = "48151623"
)

// HasSoftHSM reports whether SoftHSM is installed (Debian: softhsm2).
func HasSoftHSM() bool {
	_, err := os.Stat(SoftHSM)
	return err == nil
}

// OpenPKCS11 opens the key that NewPKCS11 makes.
func OpenPKCS11(t *testing.T, root string) signer.Signer {
	b, key := NewPKCS11(t, root)
	return open(t, b, key)
}

// NewPKCS11 builds plugin pkcs11, makes a token in SoftHSM and a key in it, and returns
// the backend and the name of the key. The key's label is "key". root is the path of the
// checkout. It skips the test if SoftHSM is missing.
func NewPKCS11(t *testing.T, root string) (b *plugin.Backend, key string) {
	t.Helper()
	if !HasSoftHSM() {
		t.Skip("SKIPPED: needs SoftHSM (Debian: softhsm2)")
	}
	dir := privateDir(t)
	program := filepath.Join(dir, prefix+"pkcs11")
	run(t, "go", "build", "-C", filepath.Join(root, "plugins", "pkcs11"), "-o", program, ".")
	config := filepath.Join(dir, "softhsm2.conf")
	err := errors.Join(os.Mkdir(filepath.Join(dir, "tokens"), 0o700),
		os.WriteFile(config, fmt.Appendf(nil, "directories.tokendir = %s/tokens\n", dir), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", config)
	t.Setenv("COUNTERSIGN_PKCS11_MODULE", SoftHSM)
	run(t, "softhsm2-util", "--init-token", "--free", "--label", "t1", "--pin", PIN, "--so-pin", "5678")
	b, key = &plugin.Backend{
		Programs: map[string]plugin.Program{
			"pkcs11": {Path: program, Environment: []string{"SOFTHSM2_CONF", "COUNTERSIGN_PKCS11_MODULE"}},
		},
		Passphrase: func(context.Context, string) ([]byte, error) { return []byte(PIN), nil },
	}, "pkcs11:token=t1;object=key"
	if _, err := b.Generate(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return b, key
}

func privateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func open(t *testing.T, b signer.Backend, name string) signer.Signer {
	t.Helper()
	key, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
