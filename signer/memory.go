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
	return &closure{s.PublicKey(), algorithmsOf(s.PublicKey()), func(_ context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		return sign(msg, algorithm)
	}}, nil
}

// signWith returns the way in which s signs with an algorithm of [algorithmsOf].
func signWith(s ssh.Signer) func(msg []byte, algorithm string) (*ssh.Signature, error) {
	return func(msg []byte, algorithm string) (*ssh.Signature, error) {
		if s.PublicKey().Type() != ssh.KeyAlgoRSA {
			return s.Sign(rand.Reader, msg)
		}
		as, ok := s.(ssh.AlgorithmSigner)
		if !ok {
			return nil, fmt.Errorf("%w: this RSA signer uses SHA-1 only", ErrUnsupported)
		}
		return as.SignWithAlgorithm(rand.Reader, msg, algorithm)
	}
}

// closure is an AlgorithmSigner whose key nothing can print: a function captures
// it. It signs with the algorithms of its key that are in the field algorithms.
type closure struct {
	pub        ssh.PublicKey
	algorithms []string
	sign       func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error)
}

func (c *closure) PublicKey() ssh.PublicKey { return c.pub }

func (c *closure) Algorithms() []string { return slices.Clone(c.algorithms) }

func (c *closure) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	return c.SignAlgorithm(ctx, msg, usualAlgorithm(c.pub))
}

func (c *closure) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkAlgorithm(c.algorithms, algorithm); err != nil {
		return nil, err
	}
	return c.sign(ctx, msg, algorithm)
}
