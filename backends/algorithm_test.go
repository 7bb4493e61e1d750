package backends_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/signer"
)

// An RSA key signs with SHA-256 where a format requires it, from every store that
// keeps keys in files or variables.
func TestRSAAlgorithms(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_RSA_KEY", string(pem.EncodeToMemory(block)))
	path := filepath.Join(t.TempDir(), "rsa")
	keys := backends.New()
	if err := keys.File.Import(t.Context(), path, key); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"env:TEST_RSA_KEY", "file:" + path} {
		s, err := keys.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, algorithm := range []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} {
			sig, err := signer.SignAlgorithm(t.Context(), s, []byte("hello"), algorithm)
			if err != nil {
				t.Errorf("%s: %s: %v", ref, algorithm, err)
				continue
			}
			if sig.Format != algorithm || s.PublicKey().Verify([]byte("hello"), sig) != nil {
				t.Errorf("%s: %s: got a signature of format %s", ref, algorithm, sig.Format)
			}
		}
	}
}
