package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// ToCrypto returns a crypto.MessageSigner that signs with s, for crypto/tls,
// crypto/x509 and programs that build on them. A key in an agent or a key service
// can so open a TLS 1.3 connection with a client certificate and sign a certificate
// request. Every signature ends when ctx ends.
//
// The result signs whole messages:
//
//   - Ed25519, with a HashFunc of 0; also in the method Sign, where such a "digest"
//     is the message;
//   - ECDSA with the hash of its curve (P-256 with SHA-256, P-384 with SHA-384,
//     P-521 with SHA-512), in ASN.1 as crypto/ecdsa writes it;
//   - RSA with PKCS #1 v1.5, with SHA-512, and with SHA-256 if s is an
//     [AlgorithmSigner].
//
// Everything else gets ErrUnsupported with the reason: a digest, another hash,
// Ed25519ph, RSA with PSS. TLS 1.3 requires PSS of RSA keys. In TLS 1.2 the server
// may choose another hash for ECDSA unless
// [crypto/tls.Certificate.SupportedSignatureAlgorithms] forbids it.
//
// Errors of ToCrypto: ErrUnsupported for a security key, a certificate or another
// kind of key. The result is safe for concurrent use.
func ToCrypto(ctx context.Context, s Signer) (crypto.MessageSigner, error) {
	pub := s.PublicKey()
	k, ok := pub.(ssh.CryptoPublicKey)
	if _, known := hashes[algorithmsOf(pub)[0]]; !ok || !known {
		return nil, fmt.Errorf("%w: package crypto has no signatures of a key of type %s", ErrUnsupported, pub.Type())
	}
	return &cryptoSigner{ctx, s, k.CryptoPublicKey()}, nil
}

// FromCrypto returns a Signer that signs with k. If k is a [crypto.MessageSigner],
// it gets the whole message, and otherwise the digest that its kind of key signs.
// A call of k takes no context: if ctx ends first, the call goes on and its result
// is dropped. Every signature is verified. A key of the standard library is
// treated as by [New].
//
// Errors: ErrUnsupported for a key that is not Ed25519, ECDSA (P-256, P-384, P-521)
// or RSA.
func FromCrypto(k crypto.Signer) (Signer, error) {
	switch k.(type) {
	case nil, ed25519.PrivateKey, *ed25519.PrivateKey, *ecdsa.PrivateKey, *rsa.PrivateKey:
		return New(k)
	}
	pub, err := ssh.NewPublicKey(k.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if _, known := hashes[algorithmsOf(pub)[0]]; !known {
		return nil, fmt.Errorf("%w: a key of type %T cannot sign here: use Ed25519, ECDSA or RSA", ErrUnsupported, k.Public())
	}
	return AlgorithmFunc(pub, func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		msg = bytes.Clone(msg) // the caller may change msg when ctx has ended
		return Await(ctx, func() (*ssh.Signature, error) { return signMessage(k, msg, algorithm) })
	}), nil
}

// hashes has the hash of each algorithm (RFC 8332, RFC 5656, RFC 8709).
var hashes = map[string]crypto.Hash{
	ssh.KeyAlgoED25519:   0,
	ssh.KeyAlgoECDSA256:  crypto.SHA256,
	ssh.KeyAlgoECDSA384:  crypto.SHA384,
	ssh.KeyAlgoECDSA521:  crypto.SHA512,
	ssh.KeyAlgoRSASHA256: crypto.SHA256,
	ssh.KeyAlgoRSASHA512: crypto.SHA512,
}

// An ecdsaSignature is encoded in ASN.1 by package crypto (RFC 3279) and as two
// mpints by SSH (RFC 5656, section 3.1.2).
type ecdsaSignature struct{ R, S *big.Int }

func signMessage(k crypto.Signer, msg []byte, algorithm string) (*ssh.Signature, error) {
	blob, err := crypto.SignMessage(k, rand.Reader, msg, hashes[algorithm])
	if err != nil {
		return nil, err
	}
	if _, ok := k.Public().(*ecdsa.PublicKey); ok {
		var sig ecdsaSignature
		if rest, err := asn1.Unmarshal(blob, &sig); err != nil || len(rest) > 0 {
			return nil, errors.New("the key returned an ECDSA signature that is not in ASN.1")
		}
		blob = ssh.Marshal(sig)
	}
	return &ssh.Signature{Format: algorithm, Blob: blob}, nil
}

type cryptoSigner struct {
	ctx context.Context
	s   Signer
	pub crypto.PublicKey
}

func (c *cryptoSigner) Public() crypto.PublicKey { return c.pub }

func (c *cryptoSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, ok := c.pub.(ed25519.PublicKey); !ok || hashOf(opts) != 0 {
		return nil, fmt.Errorf("%w: this key signs whole messages, not digests: use a program that knows crypto.MessageSigner", ErrUnsupported)
	}
	return c.SignMessage(rand, digest, opts)
}

func (c *cryptoSigner) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	algorithm, err := c.algorithm(opts)
	if err != nil {
		return nil, err
	}
	sig, err := SignAlgorithm(c.ctx, c.s, msg, algorithm)
	if err != nil {
		return nil, err
	}
	if _, ok := c.pub.(*ecdsa.PublicKey); !ok {
		return sig.Blob, nil
	}
	var numbers ecdsaSignature
	if err := ssh.Unmarshal(sig.Blob, &numbers); err != nil {
		return nil, fmt.Errorf("the key returned an ECDSA signature that is not in SSH's format: %w", err)
	}
	return asn1.Marshal(numbers)
}

// algorithm returns the name of the algorithm that opts asks for.
func (c *cryptoSigner) algorithm(opts crypto.SignerOpts) (string, error) {
	switch o := opts.(type) {
	case *rsa.PSSOptions:
		return "", fmt.Errorf("%w: SSH keys sign RSA with PKCS #1 v1.5, and PSS was asked for, which TLS 1.3 requires: use an Ed25519 or ECDSA key", ErrUnsupported)
	case *ed25519.Options:
		if o.Context != "" {
			return "", fmt.Errorf("%w: Ed25519 with a context string", ErrUnsupported)
		}
	}
	for _, algorithm := range algorithmsOf(c.s.PublicKey()) {
		if hashes[algorithm] == hashOf(opts) {
			return algorithm, nil
		}
	}
	return "", fmt.Errorf("%w: a key of type %s cannot sign with %s", ErrUnsupported, c.s.PublicKey().Type(), hashName(hashOf(opts)))
}

func hashOf(opts crypto.SignerOpts) crypto.Hash {
	if opts == nil {
		return 0
	}
	return opts.HashFunc()
}

func hashName(h crypto.Hash) string {
	if h == 0 {
		return "no hash"
	}
	return h.String()
}
