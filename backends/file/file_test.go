package file_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// tempDir is t.TempDir without its check that the directory could be removed:
// Wine cannot.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "countersign-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// told returns an error and its remedy as a person reads them.
func told(err error) string {
	hint, _ := signer.HintOf(err)
	return fmt.Sprintf("%v: %s", err, hint.Do)
}

// openSSH returns what ssh-keygen would have written for key.
func openSSH(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func publicKey(t *testing.T, key crypto.Signer) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func writeKey(t *testing.T, path string) ed25519.PrivateKey {
	t.Helper()
	key := signertest.NewKey(t)
	write(t, path, openSSH(t, key))
	return key
}

// checkSigns checks that s is the key of pub, and works.
func checkSigns(t *testing.T, s signer.Signer, pub ssh.PublicKey) {
	t.Helper()
	if !bytes.Equal(s.PublicKey().Marshal(), pub.Marshal()) {
		t.Errorf("the key is %s, want %s", ssh.FingerprintSHA256(s.PublicKey()), ssh.FingerprintSHA256(pub))
	}
	sig, err := s.Sign(t.Context(), []byte("message"))
	if err == nil {
		err = pub.Verify([]byte("message"), sig)
	}
	if err != nil {
		t.Errorf("Sign: %v", err)
	}
}

// checkOpens checks that the key file at path is the key of pub.
func checkOpens(t *testing.T, path string, pub ssh.PublicKey) {
	t.Helper()
	s, err := new(file.Backend).Open(t.Context(), path)
	if err != nil {
		t.Errorf("Open(%s): %v", path, err)
		return
	}
	checkSigns(t, s, pub)
}

// tree describes all that is in dir, by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		what := d.Type().String()
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += string(data)
		}
		found[filepath.ToSlash(path[len(dir)+1:])] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
