package keyfile_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

func TestMarshal(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	bare := &rsa.PrivateKey{PublicKey: r.PublicKey, D: r.D, Primes: r.Primes} // without the numbers of Precompute
	secret := func() ([]byte, error) { return []byte("secret"), nil }
	for name, passphrase := range map[string]func() ([]byte, error){"plain": nil, "encrypted": secret} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []crypto.Signer{ed, bare} {
				text, err := keyfile.Marshal(key, "me", passphrase)
				if err != nil {
					t.Fatal(err)
				}
				ask := func(context.Context, string) ([]byte, error) { return []byte("secret"), nil }
				back, err := signer.ParseRawPrivateKey(t.Context(), text, ask)
				if err != nil || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(back.Public()) {
					t.Errorf("%T comes back as %T, %v", key, back, err)
				}
			}
		})
	}
}

func TestMarshalRefuses(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	never := func() ([]byte, error) { t.Error("the passphrase was asked for"); return nil, nil }
	for _, comment := range []string{"two\nlines", "esc\x1b", "\xff", strings.Repeat("x", 1025)} {
		if _, err := keyfile.Marshal(key, comment, never); err == nil {
			t.Errorf("%.20q: no error", comment)
		}
	}
	if _, err := keyfile.Marshal(&rsa.PrivateKey{}, "", never); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("RSA without two primes: got %v", err)
	}
	empty := func() ([]byte, error) { return nil, nil }
	if _, err := keyfile.Marshal(key, "", empty); !errors.Is(err, signer.ErrDenied) {
		t.Errorf("empty passphrase: got %v", err)
	}
}
