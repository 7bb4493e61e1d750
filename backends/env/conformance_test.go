package env_test

import (
	"crypto"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/signer/signertest"
)

func TestConformance(t *testing.T) {
	name := func(n int) string { return fmt.Sprintf("SIGNERTEST_%d", n) }
	badNames := []string{"1ST_KEY_IS_HERE", "MY-KEY-IS-HERE", "MY KEY IS HERE", "../SIGNERTEST_0", "SIGNERTEST_0=x"}
	environ := func(*testing.T) []string { return slices.Sorted(slices.Values(os.Environ())) }
	damage := func(t *testing.T, name string) { t.Setenv(name, marshal(t, signertest.NewKey(t))[:60]) }
	lock := func(t *testing.T, name string) { t.Setenv(name, locked(t, signertest.NewKey(t))) }

	t.Run("variable", func(t *testing.T) {
		signertest.Run(t, func(*testing.T) signertest.Store {
			return signertest.Store{
				Backend: &env.Backend{}, Name: name, BadNames: badNames, Snapshot: environ, Damage: damage, Lock: lock,
				Put: func(t *testing.T, name string, key crypto.Signer) { t.Setenv(name, marshal(t, key)) },
			}
		})
	})
	t.Run("variable, removed", func(t *testing.T) {
		signertest.Run(t, func(*testing.T) signertest.Store {
			return signertest.Store{
				Backend: &env.Backend{Unset: true}, Name: name, BadNames: badNames, Damage: damage, Lock: lock,
				Put: func(t *testing.T, name string, key crypto.Signer) { t.Setenv(name, marshal(t, key)) },
			}
		})
	})
	t.Run("file", func(t *testing.T) {
		signertest.Run(t, func(t *testing.T) signertest.Store {
			dir := t.TempDir()
			return signertest.Store{
				Backend: &env.Backend{}, Name: name, BadNames: badNames, Snapshot: environ,
				Put: func(t *testing.T, name string, key crypto.Signer) {
					t.Setenv(name+"_FILE", writeFile(t, filepath.Join(dir, name), marshal(t, key)))
				},
			}
		})
	})
	t.Run("credential", func(t *testing.T) {
		signertest.Run(t, func(t *testing.T) signertest.Store {
			dir := t.TempDir()
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
			return signertest.Store{
				Backend: &env.Backend{}, Name: name, BadNames: badNames, Snapshot: environ,
				Put: func(t *testing.T, name string, key crypto.Signer) {
					writeFile(t, filepath.Join(dir, name), marshal(t, key))
				},
			}
		})
	})
}

// marshal returns key as a single line, as .env files have it.
func marshal(t *testing.T, key crypto.Signer) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(pem.EncodeToMemory(block)), "\n", `\n`)
}

// locked returns key with a passphrase.
func locked(t *testing.T, key crypto.Signer) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}
