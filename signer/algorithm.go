package signer

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// An AlgorithmSigner is a [Signer] that can also sign with an algorithm that the
// caller chooses, for a format that requires another one than Sign uses. Only
// RSA keys have more than one algorithm.
//
// A Signer that wraps another one implements AlgorithmSigner with the function
// [SignAlgorithm], and a method "Algorithms() []string" with [Algorithms]. So a
// successful type assertion does not tell that the key has the ability.
type AlgorithmSigner interface {
	Signer

	// SignAlgorithm signs the whole message as Sign does, with an algorithm that
	// has one of OpenSSH's names: "rsa-sha2-256", "rsa-sha2-512", or the type of a
	// key that is not RSA ("ssh-ed25519"). The name is the Format of the signature.
	// ErrUnsupported if the key or its store cannot use the algorithm. SHA-1
	// ("ssh-rsa") is never used. Other errors are those of Sign.
	SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error)
}

// SignAlgorithm signs msg with s and the algorithm of that name
// ([AlgorithmSigner]). A Signer without the ability signs with the algorithm of
// its Sign, and returns ErrUnsupported for all others.
func SignAlgorithm(ctx context.Context, s Signer, msg []byte, algorithm string) (*ssh.Signature, error) {
	if as, ok := s.(AlgorithmSigner); ok {
		return as.SignAlgorithm(ctx, msg, algorithm)
	}
	if err := checkAlgorithm(Algorithms(s), algorithm); err != nil {
		return nil, err
	}
	return s.Sign(ctx, msg)
}

// Algorithms returns the names of the algorithms that s signs with. It returns
// the algorithm of Sign first.
func Algorithms(s Signer) []string {
	if a, ok := s.(interface{ Algorithms() []string }); ok {
		return a.Algorithms()
	}
	all := algorithmsOf(s.PublicKey())
	if _, ok := s.(AlgorithmSigner); !ok {
		return all[:1]
	}
	return all
}

// algorithmsOf returns the names of all algorithms that a key of pub can sign
// with, except SHA-1, which OpenSSH refuses since 8.8. The first is that of Sign.
func algorithmsOf(pub ssh.PublicKey) []string {
	if pub.Type() == ssh.KeyAlgoRSA {
		return []string{usualAlgorithm(pub), ssh.KeyAlgoRSASHA256}
	}
	return []string{usualAlgorithm(pub)}
}

// usualAlgorithm returns the name of the algorithm of Sign.
func usualAlgorithm(pub ssh.PublicKey) string {
	if pub.Type() == ssh.KeyAlgoRSA {
		return ssh.KeyAlgoRSASHA512
	}
	return pub.Type()
}

func checkAlgorithm(supported []string, algorithm string) error {
	if slices.Contains(supported, algorithm) {
		return nil
	}
	return fmt.Errorf("%w: signature algorithm %q, only %q", ErrUnsupported, algorithm, supported)
}
