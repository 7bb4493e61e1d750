package keyring_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/danieljoos/wincred"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestWinCred(t *testing.T) {
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{Backend: &keyring.Backend{Timeout: patience}, BadNames: badNames}
	})
}

func TestWinCredRace(t *testing.T) { testRace(t, nil, keyring.WinCred) }

func TestWinCredItems(t *testing.T) {
	b := &keyring.Backend{}
	const name = "items/of a test"
	if _, err := b.Generate(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	cred, err := wincred.GetGenericCredential("countersign:key:" + name)
	if err != nil {
		t.Fatalf("the Credential Manager does not show it: %v", err)
	}
	if key, err := signer.ParseRawPrivateKey(t.Context(), cred.CredentialBlob, nil); err != nil || key == nil {
		t.Errorf("it holds no key: %v", err)
	}
	if err := b.Delete(t.Context(), name); err != nil {
		t.Error(err)
	}
}

// Wine would take it; Windows does not.
func TestWinCredSize(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		t.Fatal(err)
	}
	err = (&keyring.Backend{}).Import(t.Context(), "large", key)
	if !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("Import of an RSA key of 4096 bits: %v, want ErrUnsupported", err)
	}
}
