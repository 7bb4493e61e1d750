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

// Parse reads one private key: OpenSSH or PEM (PKCS#8, PKCS#1, SEC 1); Ed25519,
// ECDSA or RSA. It does not keep data.
//
// An OpenSSH key with a passphrase tells its public half without it, so the
// passphrase is asked for at the first Sign, once for all callers, and again
// only after a failure. Other encrypted PEM is unlocked by Parse itself.
//
// Errors: ErrUnsupported for kinds and ciphers that cannot be read, with what
// converts them; ErrLocked where passphrase is nil or fails; ErrDenied for a
// wrong one. Anything else is damaged, of an unknown kind, or no private key.
func Parse(ctx context.Context, data []byte, passphrase PassphraseFunc) (Signer, error) {
	p, err := readPEM(data)
	if err != nil {
		return nil, err
	}
	if p.locked && p.pub != nil {
		return unlockLater(p, passphrase), nil
	}
	key, err := p.privateKey(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	return New(key)
}

// ParsePrivateKey reads the same formats as [Parse] and returns the key itself,
// asking for a passphrase at once. It is for an [Exporter].
func ParsePrivateKey(ctx context.Context, data []byte, passphrase PassphraseFunc) (crypto.Signer, error) {
	p, err := readPEM(data)
	if err != nil {
		return nil, err
	}
	return p.privateKey(ctx, passphrase)
}

// A parsed is one PEM block, looked at but not unlocked.
type parsed struct {
	pem    func() []byte // a copy
	locked bool
	pub    ssh.PublicKey // nil if only the unlocked key knows it
}

func readPEM(data []byte) (parsed, error) {
	block, err := findBlock(data)
	if err != nil {
		return parsed{}, err
	}
	p := parsed{pem: func() []byte { return pem.EncodeToMemory(block) }}
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

// findBlock returns the only private key among the PEM blocks of data. Around
// it there may be text and other blocks, as openssl writes them.
func findBlock(data []byte) (*pem.Block, error) {
	// Counted, not decoded: of two keys, the second must not stand in for a
	// damaged first. One key has a BEGIN and an END.
	if bytes.Count(data, []byte("PRIVATE KEY-----")) > 2 {
		return nil, errors.New("more than one private key: keep the one that is meant")
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block, nil
		}
	}
	return nil, noKey(data)
}

// noKey says what data is instead of a private key.
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
