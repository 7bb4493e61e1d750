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
// converts them; ErrLocked where passphrase is nil; ErrDenied for a wrong one.
// Anything else is damaged, or no private key.
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
		err = fmt.Errorf("%w: a PKCS#8 key with a passphrase: write it without one (openssl pkey -in OLD -out NEW), then set one in OpenSSH's format (ssh-keygen -p -f NEW)", ErrUnsupported)
	case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"): // RFC 1421
		p.locked = true
	}
	return p, err
}

// findBlock returns the only private key among the PEM blocks of data. Around
// it there may be text and other blocks, as openssl writes them.
func findBlock(data []byte) (*pem.Block, error) {
	var found *pem.Block
	for rest := data; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = after
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if found != nil {
			return nil, errors.New("more than one private key: keep the one that is meant")
		}
		found = block
	}
	if found == nil {
		return nil, noKey(data)
	}
	return found, nil
}

// noKey says what data is instead of a private key.
func noKey(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return fmt.Errorf("no private key: empty (%d bytes)", len(data))
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil || bytes.Contains(data, []byte("PUBLIC KEY--")) {
		return errors.New("a public key, not a private one: the private key is the file without .pub")
	}
	if bytes.HasPrefix(data, []byte("PuTTY-User-Key-File-")) {
		return fmt.Errorf("%w: a PuTTY key: convert it with puttygen OLD -O private-openssh-new -o NEW", ErrUnsupported)
	}
	if bytes.Contains(data, []byte("PRIVATE KEY--")) {
		return fmt.Errorf("damaged private key: cut short, or its lines are broken (%d bytes)", len(data))
	}
	return fmt.Errorf("no private key: %d bytes that are neither OpenSSH nor PEM", len(data))
}
