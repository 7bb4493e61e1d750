package challenge

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// Authorization signs msg with s and returns "<public key>:<signature>", both in
// padded standard base64: the public key in SSH wire format (the second field of
// an authorized_keys line), the signature without SSH's envelope (64 bytes for
// Ed25519). It is what Ollama's auth.Sign returns.
//
// Errors: those of s; ErrUnsupported for security keys (sk-), whose signatures
// carry flags and a counter that the format cannot.
func Authorization(ctx context.Context, s signer.Signer, msg []byte) (string, error) {
	pub := s.PublicKey()
	if err := checkKind(pub); err != nil {
		return "", err
	}
	sig, err := s.Sign(ctx, msg)
	if err != nil {
		return "", err
	}
	if want := algorithm(pub); sig.Format != want {
		return "", fmt.Errorf("%w: a signature of kind %s where the format means %s", signer.ErrUnsupported, sig.Format, want)
	}
	b := make([]byte, 0, 256)
	b = base64.StdEncoding.AppendEncode(b, wire(pub))
	b = append(b, ':')
	b = base64.StdEncoding.AppendEncode(b, sig.Blob)
	return string(b), nil
}

// Verify checks that authorization, a value that [Authorization] returned, is a
// signature of msg, and returns the key that made it. The caller decides whether
// it knows that key. An auth-scheme in front ("Bearer ") is the caller's to cut.
func Verify(authorization string, msg []byte) (ssh.PublicKey, error) {
	first, second, ok := strings.Cut(authorization, ":")
	if !ok || strings.ContainsAny(authorization, "\r\n") { // package base64 skips line ends
		return nil, errors.New("malformed signature: want <public key>:<signature> in base64")
	}
	wire, err := base64.StdEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, fmt.Errorf("malformed public key: not in base64: %w", err)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(second)
	if err != nil {
		return nil, fmt.Errorf("malformed signature: not in base64: %w", err)
	}
	pub, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return nil, fmt.Errorf("malformed public key: %w", err)
	}
	if err := checkKind(pub); err != nil {
		return nil, err
	}
	if err := pub.Verify(msg, &ssh.Signature{Format: algorithm(pub), Blob: blob}); err != nil {
		return nil, fmt.Errorf("the signature is not one of these bytes by key %s", ssh.FingerprintSHA256(pub))
	}
	return pub, nil
}

// wire returns pub in SSH wire format. Marshal uses reflection, which shows beside
// an Ed25519 signature.
func wire(pub ssh.PublicKey) []byte {
	if c, ok := pub.(ssh.CryptoPublicKey); ok {
		if key, ok := c.CryptoPublicKey().(ed25519.PublicKey); ok && pub.Type() == ssh.KeyAlgoED25519 {
			return append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), key...)
		}
	}
	return pub.Marshal()
}

func checkKind(pub ssh.PublicKey) error {
	switch t := pub.Type(); t {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA:
		return nil
	default:
		return fmt.Errorf("%w: this format cannot carry the signature of a %s key", signer.ErrUnsupported, t)
	}
}

// algorithm names the signature algorithm, which the format leaves out.
func algorithm(pub ssh.PublicKey) string {
	if pub.Type() == ssh.KeyAlgoRSA {
		return ssh.KeyAlgoRSASHA512
	}
	return pub.Type()
}
