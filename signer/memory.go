package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

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
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, err
	}
	sign := signWith(s)
	return &closure{s.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return sign(msg)
	}}, nil
}

// checkKey returns key in the form that the rest of the package expects, an
// ed25519.PrivateKey by value.
func checkKey(key crypto.PrivateKey) (crypto.Signer, error) {
	switch k := key.(type) {
	case *ed25519.PrivateKey:
		if k == nil {
			return nil, errors.New("the private key is nil")
		}
		return checkKey(*k)
	case ed25519.PrivateKey:
		// A file holds seed and public half side by side. Signing with a pair that
		// does not match gives the seed away, and x/crypto does not check.
		if len(k) != ed25519.PrivateKeySize || !k.Equal(ed25519.NewKeyFromSeed(k.Seed())) {
			return nil, errors.New("damaged Ed25519 key: the private and the public half do not belong together")
		}
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("%w: a key of type %T cannot sign here: use Ed25519, ECDSA or RSA", ErrUnsupported, key)
}

// signWith returns the way in which s signs. SHA-1, an ssh.Signer's default
// for RSA, is never used (OpenSSH refuses it since 8.8).
func signWith(s ssh.Signer) func(msg []byte) (*ssh.Signature, error) {
	if s.PublicKey().Type() != ssh.KeyAlgoRSA {
		return func(msg []byte) (*ssh.Signature, error) { return s.Sign(rand.Reader, msg) }
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return func([]byte) (*ssh.Signature, error) {
			return nil, fmt.Errorf("%w: this RSA signer can only use SHA-1", ErrUnsupported)
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
	return c.sign(ctx, msg)
}
