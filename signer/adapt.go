package signer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/ssh"
)

// Func returns a Signer for a key outside this process. The function sign asks
// the store for a signature and returns when its context ends. Func verifies
// every signature with pub before it returns it.
func Func(pub ssh.PublicKey, sign func(context.Context, []byte) (*ssh.Signature, error)) Signer {
	return &closure{pub, func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := sign(ctx, msg)
		if err != nil {
			return nil, err
		}
		if err := verify(pub, msg, sig); err != nil {
			return nil, err
		}
		return sig, nil
	}}
}

// FromSSH returns a Signer that signs with s. An RSA key signs with SHA-512
// (ErrUnsupported if s cannot). A call of s takes no context: if ctx ends first,
// the call goes on and its result is dropped.
func FromSSH(s ssh.Signer) Signer {
	sign := signWith(s)
	return Func(s.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		msg = bytes.Clone(msg) // the caller may change msg when ctx has ended
		return Await(ctx, func() (*ssh.Signature, error) { return sign(msg) })
	})
}

// ToSSH returns an ssh.Signer that signs with s, for package ssh and programs
// that build on it. Every signature ends when ctx ends. For an RSA key the only
// algorithm is rsa-sha2-512.
func ToSSH(ctx context.Context, s Signer) ssh.Signer { return &sshSigner{ctx, s} }

// verify guards against a store that signs with another key or returns a damaged
// signature.
func verify(pub ssh.PublicKey, msg []byte, sig *ssh.Signature) error {
	if sig == nil {
		return errors.New("the store returned neither a signature nor an error")
	}
	if sig.Format == ssh.KeyAlgoRSA {
		return fmt.Errorf("%w: the store signed with SHA-1", ErrUnsupported)
	}
	if err := pub.Verify(msg, sig); err != nil {
		return fmt.Errorf("the store returned a signature that key %s did not make: %w", ssh.FingerprintSHA256(pub), err)
	}
	return nil
}

type sshSigner struct {
	ctx context.Context
	s   Signer
}

var _ ssh.MultiAlgorithmSigner = (*sshSigner)(nil)

func (a *sshSigner) PublicKey() ssh.PublicKey { return a.s.PublicKey() }

func (a *sshSigner) Algorithms() []string {
	if t := a.PublicKey().Type(); t != ssh.KeyAlgoRSA {
		return []string{t}
	}
	return []string{ssh.KeyAlgoRSASHA512}
}

func (a *sshSigner) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return a.s.Sign(a.ctx, data)
}

func (a *sshSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if algorithm != "" && !slices.Contains(a.Algorithms(), algorithm) {
		return nil, fmt.Errorf("%w: signature algorithm %q, only %q", ErrUnsupported, algorithm, a.Algorithms())
	}
	return a.Sign(rand, data)
}
