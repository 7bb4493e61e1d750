package keyring_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/danieljoos/wincred"
	"golang.org/x/sys/windows"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestWinCred(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		if inWine() && (strings.HasSuffix(t.Name(), "/GenerateAtOnce") || strings.HasSuffix(t.Name(), "/ImportAtOnce")) {
			t.Skip("SKIPPED: Wine's Credential Manager shows a credential before all of it is written")
		}
		return signertest.Store{Backend: &keyring.Backend{Timeout: patience}, BadNames: badNames}
	})
}

// inWine reports whether Wine runs this program.
func inWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// These stores are those of another system: one error tells it once, with one remedy.
func TestStoresOfOtherSystems(t *testing.T) {
	b := &keyring.Backend{Stores: []keyring.Store{keyring.SecretService, keyring.KWallet}}
	_, err := b.Open(t.Context(), "key")
	if err == nil || strings.Count(err.Error(), "on linux only") != 1 || len(err.Error()) > 250 {
		t.Errorf("got error %v, want the cause once", err)
	}
	if hint, ok := signer.HintOf(err); !ok || hint.See != "keychain#platforms" {
		t.Errorf("hint: got %+v, want that of platforms", hint)
	}
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
