package plugin_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/signer/signertest"
)

// TestShellPlugin runs the conformance suite on the plugin of the documentation.
func TestShellPlugin(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: the plugin is a Unix shell script")
	}
	if testing.Short() {
		t.Skip("SKIPPED: starts some thousand processes")
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: needs openssl: ", err)
	}
	text, err := os.ReadFile("../../docs/examples/countersign-backend-openssl")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tempDir(t), "countersign-backend-openssl")
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	signertest.Run(t, func(t *testing.T) signertest.Store {
		t.Setenv("XDG_DATA_HOME", tempDir(t))
		t.Setenv("TMPDIR", tempDir(t))
		return signertest.Store{
			Backend: &plugin.Backend{Programs: map[string]plugin.Program{"openssl": {Path: path}}},
			Name:    func(n int) string { return "openssl:key-" + strconv.Itoa(n) },
			Put: func(t *testing.T, name string, key crypto.Signer) {
				if _, ok := key.(ed25519.PrivateKey); !ok {
					t.Skip("the plugin has Ed25519 keys only")
				}
				der, err := x509.MarshalPKCS8PrivateKey(key)
				if err != nil {
					t.Fatal(err)
				}
				dir := filepath.Join(os.Getenv("XDG_DATA_HOME"), "countersign-openssl")
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
				if err := os.WriteFile(filepath.Join(dir, strings.TrimPrefix(name, "openssl:")+".pem"), block, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Dir:      os.Getenv("XDG_DATA_HOME"),
			BadNames: []string{"openssl:"},
		}
	})
}
