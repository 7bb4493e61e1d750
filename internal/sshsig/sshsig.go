// Package sshsig makes and checks signatures in OpenSSH's format, as ssh-keygen -Y
// does. It accepts nothing that ssh-keygen refuses.
//
// Formats: PROTOCOL.sshsig of OpenSSH; the file of allowed signers is described in
// ssh-keygen(1), ALLOWED SIGNERS.
package sshsig

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// minRSA is the size of the smallest RSA key that OpenSSH takes, in bits.
const minRSA = 1024

// Hashes are the names of the hashes of a message, the default first.
var Hashes = []string{string(sshsig.HashSHA512), string(sshsig.HashSHA256)}

// Sign returns the signature of message in armor, which ends with a newline. The
// namespace says where the signature is valid: "file", "git". An RSA key signs with
// rsa-sha2-512, as ssh-keygen's does.
func Sign(ctx context.Context, key signer.Signer, namespace, hash string, message io.Reader) ([]byte, error) {
	sig, err := sshsig.Sign(message, signer.ToSSH(ctx, key), sshsig.HashAlgorithm(hash), namespace)
	if err != nil {
		return nil, err
	}
	return sshsig.Armor(sig), nil
}

// A Signature is a signature with the key that made it.
type Signature struct{ s *sshsig.Signature }

const (
	header = "-----BEGIN SSH SIGNATURE-----\n"
	footer = "\n-----END SSH SIGNATURE-----"
)

// Parse reads a signature in armor. Nothing may stand before the armor, and only white
// space after it.
func Parse(text []byte) (*Signature, error) {
	body, ok := bytes.CutPrefix(text, []byte(header))
	if !ok {
		return nil, errors.New("no SSH signature: it does not begin with -----BEGIN SSH SIGNATURE-----")
	}
	body, rest, ok := bytes.Cut(body, []byte(footer))
	if !ok {
		return nil, errors.New("damaged SSH signature: the line -----END SSH SIGNATURE----- is missing")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("damaged SSH signature: there is text after it")
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil {
		return nil, errors.New("damaged SSH signature: it is not base64")
	}
	s, err := sshsig.ParseSignature(blob)
	if err != nil {
		return nil, fmt.Errorf("damaged SSH signature: %s", printable.Text(err.Error()))
	}
	if err := checkKind(s.PublicKey); err != nil {
		return nil, fmt.Errorf("the signature is by %w", err)
	}
	return &Signature{s}, nil
}

// checkKind refuses keys that OpenSSH refuses, and certificates.
func checkKind(pub ssh.PublicKey) error {
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		key, ok := pub.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey)
		if !ok || key.N.BitLen() < minRSA {
			return fmt.Errorf("an RSA key of fewer than %d bits", minRSA)
		}
		return nil
	}
	if _, ok := pub.(*ssh.Certificate); ok {
		return errors.New("a certificate: only plain keys are supported")
	}
	return fmt.Errorf("a key of the type %s, which is not supported", printable.Text(pub.Type()))
}

// PublicKey returns the key that the signature names. It made the signature only if
// Verify returns nil.
func (s *Signature) PublicKey() ssh.PublicKey { return s.s.PublicKey }

// Verify checks that the signature is one of message, for namespace. It does not tell
// whether the key may be trusted.
func (s *Signature) Verify(message io.Reader, namespace string) error {
	err := sshsig.Verify(message, s.s, s.s.PublicKey, s.s.HashAlgorithm, namespace)
	if errors.Is(err, sshsig.ErrNamespaceMismatch) {
		return fmt.Errorf("the signature is for the namespace %s, not %s", printable.Quote(s.s.Namespace), printable.Quote(namespace))
	}
	if err != nil {
		return fmt.Errorf("the signature does not belong to this message: %w", err)
	}
	return nil
}
