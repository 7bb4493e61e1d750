package keyfile

import (
	"crypto"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// maxComment keeps a key file far below MaxSize.
const maxComment = 1024

// DefaultComment stands where ssh-keygen writes user@host.
const DefaultComment = "countersign"

// Marshal returns key as the content of an OpenSSH key file. It encrypts the key with
// the result of passphrase, which it calls after all other checks; nil means that the
// key is not encrypted. Errors: ErrUnsupported for a key that the format cannot hold;
// ErrDenied for an empty passphrase; and that of passphrase.
func Marshal(key crypto.Signer, comment string, passphrase func() ([]byte, error)) ([]byte, error) {
	if err := CheckComment(comment); err != nil {
		return nil, err
	}
	if k, ok := key.(*rsa.PrivateKey); ok {
		complete, err := completeRSA(k)
		if err != nil {
			return nil, err
		}
		key = complete
	}
	block, err := encrypt(key, comment, passphrase)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

func encrypt(key crypto.Signer, comment string, passphrase func() ([]byte, error)) (*pem.Block, error) {
	if passphrase == nil {
		return ssh.MarshalPrivateKey(key, comment)
	}
	secret, err := passphrase()
	if err != nil {
		return nil, err
	}
	if len(secret) == 0 {
		return nil, fmt.Errorf("%w: the new passphrase is empty: no key was written", signer.ErrDenied)
	}
	return ssh.MarshalPrivateKeyWithPassphrase(key, comment, secret)
}

// CheckComment returns an error if a key file cannot hold comment.
func CheckComment(comment string) error {
	switch {
	case len(comment) > maxComment:
		return fmt.Errorf("the comment has %d bytes, the longest is %d", len(comment), maxComment)
	case !utf8.ValidString(comment), strings.ContainsFunc(comment, unicode.IsControl):
		return errors.New("the comment holds a line break or other control characters: leave them out")
	}
	return nil
}

// completeRSA returns k with the numbers that the format holds besides the primes. A
// key that was not read from a file may lack them, and ssh.MarshalPrivateKey then
// panics.
func completeRSA(k *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if len(k.Primes) != 2 {
		return nil, fmt.Errorf("%w: OpenSSH's format has no place for an RSA key of %d primes", signer.ErrUnsupported, len(k.Primes))
	}
	complete := *k
	complete.Precompute()
	return &complete, nil
}
