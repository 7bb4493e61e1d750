package agent_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// gpg-agent stores a key for good, and says that it removed the key.
func TestGPGKeepsKeys(t *testing.T) {
	b := &agent.Backend{Socket: agenttest.StartGPG(t)}
	if err := b.Import(t.Context(), "me", signertest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.Import(t.Context(), "me", signertest.NewKey(t)); !errors.Is(err, signer.ErrExists) {
		t.Errorf("a second key of the name: %v, want ErrExists", err)
	}
	wantError(t, b.Delete(t.Context(), "me"), signer.ErrUnsupported, false, "agent#refused", "still has it")
	if _, err := b.Open(t.Context(), "me"); err != nil {
		t.Error(err)
	}
}

func TestGPGSignsRSAWithBothHashes(t *testing.T) {
	b := &agent.Backend{Socket: agenttest.StartGPG(t)}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Import(t.Context(), "rsa", key); err != nil {
		t.Fatal(err)
	}
	k, err := b.Open(t.Context(), "rsa")
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} {
		sig, err := signer.SignAlgorithm(t.Context(), k, []byte("hello"), algorithm)
		if err != nil || sig.Format != algorithm {
			t.Errorf("%s: %v, %v", algorithm, sig, err)
		}
	}
}
