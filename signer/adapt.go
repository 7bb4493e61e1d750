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
// every signature with pub before it returns it. An RSA key signs with SHA-512.
func Func(pub ssh.PublicKey, sign func(context.Context, []byte) (*ssh.Signature, error)) Signer {
	return verified(pub, algorithmsOf(pub)[:1], func(ctx context.Context, msg []byte, _ string) (*ssh.Signature, error) {
		return sign(ctx, msg)
	})
}

// AlgorithmFunc is [Func] for a store that can use each algorithm of the key
// ([AlgorithmSigner]). The function sign gets one of [Algorithms]. A signature
// that was made with another algorithm is an error.
func AlgorithmFunc(pub ssh.PublicKey, sign func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error)) AlgorithmSigner {
	return verified(pub, algorithmsOf(pub), sign)
}

// FromSSH returns an [AlgorithmSigner] that signs with s. An RSA key signs with
// SHA-2 only (ErrUnsupported if s cannot). A call of s takes no context: if ctx
// ends first, the call goes on and its result is dropped.
func FromSSH(s ssh.Signer) Signer {
	sign := signWith(s)
	return verified(s.PublicKey(), algorithmsOfSSH(s), func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		msg = bytes.Clone(msg) // the caller may change msg when ctx has ended
		return Await(ctx, func() (*ssh.Signature, error) { return sign(msg, algorithm) })
	})
}

// algorithmsOfSSH leaves out the algorithms that s refuses.
func algorithmsOfSSH(s ssh.Signer) []string {
	algorithms := algorithmsOf(s.PublicKey())
	limited, ok := s.(ssh.MultiAlgorithmSigner)
	if !ok || s.PublicKey().Type() != ssh.KeyAlgoRSA {
		return algorithms
	}
	return slices.DeleteFunc(algorithms, func(name string) bool { return !slices.Contains(limited.Algorithms(), name) })
}

// ToSSH returns an ssh.MultiAlgorithmSigner that signs with s, for package ssh and
// programs that build on it. It offers the algorithms of s ([Algorithms]). Every
// signature ends when ctx ends.
func ToSSH(ctx context.Context, s Signer) ssh.Signer { return &sshSigner{ctx, s} }

func verified(pub ssh.PublicKey, algorithms []string, sign func(context.Context, []byte, string) (*ssh.Signature, error)) *closure {
	return &closure{pub, algorithms, func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		sig, err := sign(ctx, msg, algorithm)
		if err != nil {
			return nil, err
		}
		if err := verify(pub, msg, sig, algorithm); err != nil {
			return nil, err
		}
		return sig, nil
	}}
}

// verify guards against a store that signs with another key or algorithm, or
// returns a damaged signature.
func verify(pub ssh.PublicKey, msg []byte, sig *ssh.Signature, algorithm string) error {
	if sig == nil {
		return errors.New("the store returned neither a signature nor an error")
	}
	if pub.Type() == ssh.KeyAlgoRSA && sig.Format != algorithm { // keys of other types have one algorithm, and Verify compares it
		return fmt.Errorf("%w: the store signed with the algorithm %q instead of %q", ErrUnsupported, sig.Format, algorithm)
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

func (a *sshSigner) Algorithms() []string { return Algorithms(a.s) }

func (a *sshSigner) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return a.s.Sign(a.ctx, data)
}

func (a *sshSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if algorithm == "" {
		return a.Sign(rand, data)
	}
	return SignAlgorithm(a.ctx, a.s, data, algorithm)
}
