package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// readOpenSSHHeader reads the part of an OpenSSH key that is not encrypted
// (PROTOCOL.key).
func readOpenSSHHeader(b []byte) (locked bool, pub ssh.PublicKey, err error) {
	var h struct {
		Cipher, KDF, KDFOptions string
		N                       uint32
		Pub                     []byte
		Rest                    []byte `ssh:"rest"`
	}
	b, ok := bytes.CutPrefix(b, []byte("openssh-key-v1\x00"))
	if !ok || ssh.Unmarshal(b, &h) != nil {
		return false, nil, errors.New("damaged OpenSSH key: its header cannot be read")
	}
	pub, err = ssh.ParsePublicKey(h.Pub)
	if err != nil {
		return false, nil, errors.New("damaged OpenSSH key, or one of an unknown kind: its public half cannot be read")
	}
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA:
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return false, nil, fmt.Errorf("%w: a security key (FIDO): its signatures carry a counter that the formats here cannot", ErrUnsupported)
	default: // DSA, or a certificate
		return false, nil, fmt.Errorf("%w: a key of kind %s: use Ed25519, ECDSA or RSA", ErrUnsupported, pub.Type())
	}
	switch h.Cipher {
	case "none":
		return false, pub, nil
	case "aes256-ctr", "aes256-cbc": // x/crypto/ssh reads no others
		return true, pub, nil
	}
	return false, nil, fmt.Errorf("%w: the key is encrypted with %q: run ssh-keygen -p -Z aes256-ctr -f KEYFILE", ErrUnsupported, h.Cipher)
}

// signer returns a Signer with the private key.
func (p parsed) signer(ctx context.Context, passphrase PassphraseFunc) (Signer, error) {
	key, err := p.privateKey(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	return newSigner(key)
}

// privateKey returns the private key. It asks for the passphrase of a locked key.
func (p parsed) privateKey(ctx context.Context, passphrase PassphraseFunc) (crypto.Signer, error) {
	raw, err := p.raw(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	key, err := checkKey(raw)
	if err != nil {
		return nil, err
	}
	if p.pub == nil {
		return key, nil
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil || !SameKey(pub, p.pub) {
		return nil, errors.New("damaged private key: the public key in the file belongs to another private key")
	}
	return key, nil
}

func (p parsed) raw(ctx context.Context, passphrase PassphraseFunc) (crypto.PrivateKey, error) {
	if !p.locked {
		key, err := ssh.ParseRawPrivateKey(p.pem())
		if err != nil {
			return nil, fmt.Errorf("damaged private key, or one of an unknown kind: %w", err)
		}
		return key, nil
	}
	secret, err := p.askPassphrase(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	key, err := Await(ctx, func() (crypto.PrivateKey, error) { // bcrypt may take seconds
		return ssh.ParseRawPrivateKeyWithPassphrase(p.pem(), secret)
	})
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, fmt.Errorf("%w: wrong passphrase", ErrDenied)
	}
	if err != nil {
		return nil, fmt.Errorf("unlocking the private key: %w", err)
	}
	return key, nil
}

func (p parsed) askPassphrase(ctx context.Context, passphrase PassphraseFunc) ([]byte, error) {
	if passphrase == nil {
		return nil, fmt.Errorf("%w: it has a passphrase, and nobody was asked for it", ErrLocked)
	}
	if !MayPrompt(ctx) {
		return nil, fmt.Errorf("%w: it has a passphrase, which work in the background does not ask for", ErrLocked)
	}
	prompt := "passphrase"
	if p.pub != nil {
		prompt += " for key " + ssh.FingerprintSHA256(p.pub)
	}
	secret, err := passphrase(ctx, prompt)
	if IsAbsent(err) {
		hint, _ := HintOf(err)
		err = WithHint(errors.New(err.Error()), hint) // the passphrase is missing, the key is not
	}
	if err != nil {
		return nil, fmt.Errorf("%w: no passphrase: %w", ErrLocked, err)
	}
	if len(secret) == 0 {
		return nil, fmt.Errorf("%w: the passphrase is empty", ErrDenied)
	}
	return secret, nil
}

// unlockLater returns a Signer that unlocks its key at the first Sign.
func unlockLater(p parsed, passphrase PassphraseFunc) Signer {
	unlocked := &Keeper{Backend: OpenFunc(func(ctx context.Context, _ string) (Signer, error) {
		return p.signer(ctx, passphrase)
	})}
	sign := &closure{p.pub, algorithmsOf(p.pub), func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		s, err := unlocked.Open(ctx, "")
		if err != nil {
			return nil, err
		}
		return SignAlgorithm(ctx, s, msg, algorithm)
	}}
	return &lockedKey{sign, func() bool { return !unlocked.holds("") }}
}

// A lockedKey is a key with a passphrase.
type lockedKey struct {
	*closure
	locked func() bool
}

// Locked implements [Locker].
func (l *lockedKey) Locked() bool { return l.locked() }
