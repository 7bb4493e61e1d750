package signer

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Parse reads one private key in OpenSSH's format or in PEM (PKCS#8, PKCS#1,
// SEC 1): Ed25519, ECDSA or RSA. It does not keep data.
//
// An OpenSSH key with a passphrase has its public half in clear. Parse does not
// ask for the passphrase of such a key. The first Sign asks, once for all
// callers, and a later Sign asks again only after a failure. Parse itself
// unlocks other encrypted PEM.
//
// Errors: ErrUnsupported for kinds of keys and ciphers that cannot be read, with
// the command that converts them; ErrLocked if passphrase is nil or fails;
// ErrDenied for a wrong passphrase. Any other error means that data is damaged,
// of an unknown kind, or not a private key.
func Parse(ctx context.Context, data []byte, passphrase PassphraseFunc) (Signer, error) {
	p, err := readPEM(data)
	if err != nil {
		return nil, err
	}
	if p.locked && p.pub != nil {
		return unlockLater(p, passphrase), nil
	}
	return p.signer(ctx, passphrase)
}

// ParseRawPrivateKey reads the formats of [Parse] and returns the key itself. It
// asks for a passphrase at once. It is for an [Exporter]. Errors are those of
// Parse.
func ParseRawPrivateKey(ctx context.Context, data []byte, passphrase PassphraseFunc) (crypto.Signer, error) {
	p, err := readPEM(data)
	if err != nil {
		return nil, err
	}
	return p.privateKey(ctx, passphrase)
}

// A parsed is one PEM block that holds a private key, locked or not.
type parsed struct {
	pem    func() []byte // the text of the block: package ssh reads no other form
	locked bool
	pub    ssh.PublicKey // nil if only the private key tells it
}

func readPEM(data []byte) (parsed, error) {
	block, text, err := findBlock(data)
	if err != nil {
		return parsed{}, err
	}
	text = bytes.Clone(text) // data belongs to the caller again when Parse returns
	p := parsed{pem: func() []byte { return text }}
	switch {
	case block.Type == "OPENSSH PRIVATE KEY":
		p.locked, p.pub, err = readOpenSSHHeader(block.Bytes)
	case block.Type == "ENCRYPTED PRIVATE KEY":
		err = fmt.Errorf("%w: a PKCS#8 key with a passphrase: run ssh-keygen -p -f KEYFILE, or, for Ed25519, take the passphrase off with openssl pkey -in OLD -out NEW", ErrUnsupported)
	case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"): // RFC 1421
		p.locked = true
	}
	return p, err
}

// findBlock returns the only private key among the PEM blocks of data, decoded
// and as text. Other text and other blocks may surround it, as openssl writes
// them.
func findBlock(data []byte) (*pem.Block, []byte, error) {
	// A count, because a second key must not stand in for a damaged first key.
	// One key has a BEGIN line and an END line.
	if bytes.Count(data, []byte("PRIVATE KEY-----")) > 2 {
		return nil, nil, errors.New("more than one private key: keep only the key to use")
	}
	for text := data; ; {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, nil, noKey(data)
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block, text[:len(text)-len(rest)], nil
		}
		text = rest
	}
}

// noKey explains why data holds no private key.
func noKey(data []byte) error {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return fmt.Errorf("no private key: empty (%d bytes)", len(data))
	case bytes.HasPrefix(data, []byte("PuTTY-User-Key-File-")):
		return fmt.Errorf("%w: a PuTTY key: convert it with puttygen OLD -O private-openssh-new -o NEW", ErrUnsupported)
	case bytes.Contains(data, []byte("PRIVATE KEY--")):
		return fmt.Errorf("damaged private key: cut short, or its lines are broken (%d bytes)", len(data))
	case isPublic(data):
		return errors.New("a public key, not a private one: the private key is the file without .pub")
	}
	return fmt.Errorf("no private key: %d bytes that are neither OpenSSH nor PEM", len(data))
}

func isPublic(data []byte) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey(data)
	return err == nil || bytes.Contains(data, []byte("PUBLIC KEY--")) ||
		bytes.Contains(data, []byte("SSH2 PUBLIC KEY")) // RFC 4716
}
