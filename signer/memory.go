package signer

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// New returns a Signer for a key in memory: Ed25519, ECDSA or RSA. RSA signs
// with SHA-512. For a key that lives elsewhere and may block, use [Func].
// Errors: ErrUnsupported for any other kind of key; a key whose halves do not
// belong together is refused.
func New(key crypto.Signer) (Signer, error) {
	key, err := checkKey(key)
	if err != nil {
		return nil, err
	}
	return newSigner(key)
}

// newSigner returns a Signer for a key that checkKey returned.
func newSigner(key crypto.Signer) (Signer, error) {
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, err
	}
	sign := signWith(s)
	return &closure{s.PublicKey(), func(_ context.Context, msg []byte) (*ssh.Signature, error) {
		return sign(msg)
	}}, nil
}

// signWith returns the way in which s signs. SHA-1, an ssh.Signer's default
// for RSA, is never used (OpenSSH refuses it since 8.8).
func signWith(s ssh.Signer) func(msg []byte) (*ssh.Signature, error) {
	if s.PublicKey().Type() != ssh.KeyAlgoRSA {
		return func(msg []byte) (*ssh.Signature, error) { return s.Sign(rand.Reader, msg) }
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if m, limited := s.(ssh.MultiAlgorithmSigner); limited {
		ok = slices.Contains(m.Algorithms(), ssh.KeyAlgoRSASHA512)
	}
	if !ok {
		return func([]byte) (*ssh.Signature, error) {
			return nil, fmt.Errorf("%w: this RSA signer cannot use SHA-512", ErrUnsupported)
		}
	}
	return func(msg []byte) (*ssh.Signature, error) {
		return as.SignWithAlgorithm(rand.Reader, msg, ssh.KeyAlgoRSASHA512)
	}
}

// closure is a Signer whose key nothing can print: a function captures it.
type closure struct {
	pub  ssh.PublicKey
	sign func(context.Context, []byte) (*ssh.Signature, error)
}

func (c *closure) PublicKey() ssh.PublicKey { return c.pub }

func (c *closure) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.sign(ctx, msg)
}
