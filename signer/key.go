package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

var errHalves = errors.New("damaged key: the private and the public half do not belong together")

// checkKey returns key in the form that the rest of the package expects, an
// ed25519.PrivateKey by value.
func checkKey(key crypto.PrivateKey) (crypto.Signer, error) {
	switch k := key.(type) {
	case *ed25519.PrivateKey:
		if k != nil {
			return checkEd25519(*k)
		}
	case ed25519.PrivateKey:
		return checkEd25519(k)
	case *ecdsa.PrivateKey:
		if k != nil {
			return k, checkECDSA(k)
		}
	case *rsa.PrivateKey:
		if k != nil {
			return k, checkRSA(k)
		}
	}
	return nil, fmt.Errorf("%w: a key of type %T cannot sign here: use Ed25519, ECDSA or RSA", ErrUnsupported, key)
}

// checkEd25519 returns a copy, because the caller may change k. A file holds the
// seed and the public half side by side. A signature with halves that do not
// match gives the seed away, and x/crypto does not compare them.
func checkEd25519(k ed25519.PrivateKey) (crypto.Signer, error) {
	if len(k) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("damaged Ed25519 key: %d bytes instead of %d", len(k), ed25519.PrivateKeySize)
	}
	whole := ed25519.NewKeyFromSeed(k.Seed())
	if !k.Equal(whole) {
		return nil, errHalves
	}
	return whole, nil
}

func checkECDSA(k *ecdsa.PrivateKey) error {
	if _, err := ssh.NewPublicKey(&k.PublicKey); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err) // the curve
	}
	private, err := k.ECDH()
	if err != nil {
		return err
	}
	public, err := k.PublicKey.ECDH()
	if err != nil {
		return err
	}
	if !private.PublicKey().Equal(public) {
		return errHalves
	}
	return nil
}

func checkRSA(k *rsa.PrivateKey) error {
	if err := k.Validate(); err != nil {
		return fmt.Errorf("damaged RSA key: %w", err)
	}
	return nil
}
