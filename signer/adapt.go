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

// Func returns a Signer for a key outside this process: sign asks whoever
// holds it, and gives up when its context ends. Every signature is verified
// under pub before it is handed on.
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

// FromSSH returns a Signer that signs with s: RSA with SHA-512 (ErrUnsupported
// if s cannot), the other kinds as they are. Since s knows no context, a call
// of s that outlasts its caller goes on unheard.
func FromSSH(s ssh.Signer) Signer {
	sign := signWith(s)
	return Func(s.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		msg = bytes.Clone(msg) // the caller's again when ctx ends
		return Await(ctx, func() (*ssh.Signature, error) { return sign(msg) })
	})
}

// ToSSH returns s for package ssh and everything built on it; each signature is
// bound by ctx. Of the RSA algorithms it offers rsa-sha2-512 only.
func ToSSH(ctx context.Context, s Signer) ssh.Signer { return &sshSigner{ctx, s} }

// verify guards against a store that signs with another key or damages what it
// returns.
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
