package file

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// longestComment keeps a key file far below the size up to which it is read.
const longestComment = 1024

// comment returns what is written where ssh-keygen writes user@host.
func (b *Backend) comment() (string, error) {
	switch {
	case b.Comment == "":
		return "countersign", nil
	case len(b.Comment) > longestComment:
		return "", fmt.Errorf("the comment has %d bytes, the longest is %d", len(b.Comment), longestComment)
	case !isPlain(b.Comment):
		return "", errors.New("the comment holds a line break or other control characters: leave them out")
	}
	return b.Comment, nil
}

func isPlain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// prepare returns key in the form that can be written, and a Signer with it. It
// refuses a key that Open would refuse.
func prepare(key crypto.Signer) (crypto.Signer, signer.Signer, error) {
	s, err := signer.New(key)
	if err != nil {
		return nil, nil, err
	}
	if k, ok := key.(*rsa.PrivateKey); ok {
		if key, err = completeRSA(k); err != nil {
			return nil, nil, err
		}
	}
	return key, s, nil
}

// marshal returns key as the content of an OpenSSH key file for path.
func (b *Backend) marshal(ctx context.Context, path string, key crypto.Signer, comment string) ([]byte, error) {
	block, err := b.encrypt(ctx, path, key, comment)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

func (b *Backend) encrypt(ctx context.Context, path string, key crypto.Signer, comment string) (*pem.Block, error) {
	if b.NewPassphrase == nil {
		return ssh.MarshalPrivateKey(key, comment)
	}
	path = printable.Text(path)
	passphrase, err := b.NewPassphrase(ctx, "new passphrase for key file "+path)
	if err != nil {
		return nil, fmt.Errorf("new passphrase for key file %s: %w", path, err)
	}
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("%w: the new passphrase for key file %s is empty: no key was written", signer.ErrDenied, path)
	}
	return ssh.MarshalPrivateKeyWithPassphrase(key, comment, passphrase)
}

// completeRSA returns k with what the format holds besides the primes. A key
// that was not read from a file may lack it, and MarshalPrivateKey then panics.
func completeRSA(k *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if len(k.Primes) != 2 {
		return nil, fmt.Errorf("%w: OpenSSH's format has no place for an RSA key of %d primes", signer.ErrUnsupported, len(k.Primes))
	}
	complete := *k
	complete.Precompute()
	return &complete, nil
}

// publicLine returns pub as the content of a .pub file.
func publicLine(pub ssh.PublicKey, comment string) []byte {
	return fmt.Appendf(nil, "%s %s\n", signer.AuthorizedKey(pub), comment)
}

// isPublicHalf reports whether the file at path holds pub and no other key.
func isPublicHalf(path string, pub ssh.PublicKey) bool {
	got, _, err := readPublic(path)
	return err == nil && signer.SameKey(got, pub)
}

// readPublic reads a .pub file.
func readPublic(path string) (pub ssh.PublicKey, comment string, err error) {
	data, _, err := keyfile.Read(path)
	if err != nil {
		return nil, "", err
	}
	pub, comment, _, rest, err := ssh.ParseAuthorizedKey(data)
	if err == nil && len(bytes.TrimSpace(rest)) > 0 {
		err = errors.New("more than one public key")
	}
	return pub, comment, err
}
