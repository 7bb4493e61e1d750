package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A kind of key, and the format of the signatures that it makes.
type kind struct {
	name   string
	key    crypto.Signer
	format string
}

func kinds(t *testing.T) []kind {
	t.Helper()
	return []kind{
		{"Ed25519", signertest.NewKey(t), ssh.KeyAlgoED25519},
		{"ECDSA P-256", newECDSA(t, elliptic.P256()), ssh.KeyAlgoECDSA256},
		{"ECDSA P-384", newECDSA(t, elliptic.P384()), ssh.KeyAlgoECDSA384},
		{"ECDSA P-521", newECDSA(t, elliptic.P521()), ssh.KeyAlgoECDSA521},
		{"RSA 2048", newRSA(t), ssh.KeyAlgoRSASHA512},
	}
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNew(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			s, err := signer.New(k.key)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ssh.NewPublicKey(k.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if !signer.SameKey(s.PublicKey(), want) {
				t.Error("the signer has another public key than the key")
			}
			checkSign(t, s, k.format)
		})
	}
}

func TestNewPointer(t *testing.T) {
	key := signertest.NewKey(t)
	s, err := signer.New(&key) // as ssh.ParseRawPrivateKey gives it
	if err != nil {
		t.Fatal(err)
	}
	checkSign(t, s, ssh.KeyAlgoED25519)
}

func TestNewOutlivesItsKey(t *testing.T) {
	key := signertest.NewKey(t)
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	checkSign(t, s, ssh.KeyAlgoED25519)
}

// foreign is a crypto.Signer of somebody else's.
type foreign struct{ crypto.Signer }

func TestNewRefusesKinds(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"nothing":        nil,
		"nil Ed25519":    (*ed25519.PrivateKey)(nil),
		"nil ECDSA":      (*ecdsa.PrivateKey)(nil),
		"nil RSA":        (*rsa.PrivateKey)(nil),
		"P-224":          newECDSA(t, elliptic.P224()),
		"somebody's own": foreign{signertest.NewKey(t)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signer.New(key)
			wantIs(t, err, signer.ErrUnsupported)
		})
	}
}

func TestNewRefusesForeignHalves(t *testing.T) {
	mixed := signertest.NewKey(t)
	copy(mixed[32:], signertest.NewKey(t)[32:])
	ec := newECDSA(t, elliptic.P256())
	ec.PublicKey = newECDSA(t, elliptic.P256()).PublicKey
	rs := newRSA(t)
	rs.PublicKey = newRSA(t).PublicKey
	for name, key := range map[string]crypto.Signer{
		"Ed25519":       mixed,
		"short Ed25519": signertest.NewKey(t)[:63],
		"empty Ed25519": ed25519.PrivateKey{},
		"ECDSA":         ec,
		"RSA":           rs,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := signer.New(key); err == nil {
				t.Error("took a damaged key")
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	key, msg := signertest.NewKey(b), make([]byte, 200)
	b.Run("ed25519", func(b *testing.B) {
		for b.Loop() {
			ed25519.Sign(key, msg)
		}
	})
	b.Run("New", func(b *testing.B) {
		s, err := signer.New(key)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.Sign(b.Context(), msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("FromSSH", func(b *testing.B) { // verifies, in a goroutine
		s, err := ssh.NewSignerFromSigner(key)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := signer.FromSSH(s).Sign(b.Context(), msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}
