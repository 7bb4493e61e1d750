package token

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// The lifetimes of certificates.
const (
	RootLifetime = 10 * 365 * 24 * time.Hour
	LeafLifetime = 365 * 24 * time.Hour
)

// slack is how long before now a certificate begins, for registries whose clock is
// behind.
const slack = 5 * time.Minute

// NewRoot returns a root certificate for key, signed by key itself, in PEM.
func NewRoot(ctx context.Context, key signer.Signer, name string, now time.Time) ([]byte, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-slack),
		NotAfter:              now.Add(RootLifetime),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return create(ctx, template, template, key.PublicKey(), key)
}

// NewLeaf returns a certificate for the signing key, signed by the root's key, in PEM.
func NewLeaf(ctx context.Context, root *x509.Certificate, rootKey signer.Signer, signingKey ssh.PublicKey, now time.Time) ([]byte, error) {
	if !isKeyOf(root, rootKey.PublicKey()) {
		return nil, errors.New("the root certificate is not that of the root's key")
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "countersignd " + ssh.FingerprintSHA256(signingKey)},
		NotBefore:             now.Add(-slack),
		NotAfter:              now.Add(LeafLifetime),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	if template.NotAfter.After(root.NotAfter) {
		template.NotAfter = root.NotAfter
	}
	return create(ctx, template, root, signingKey, rootKey)
}

func create(ctx context.Context, template, parent *x509.Certificate, subject ssh.PublicKey, by signer.Signer) ([]byte, error) {
	serial := make([]byte, 16)
	rand.Read(serial)
	template.SerialNumber = new(big.Int).SetBytes(serial)
	if by.PublicKey().Type() == ssh.KeyAlgoRSA {
		template.SignatureAlgorithm = x509.SHA512WithRSA // the one hash that every signer has
	}
	key, err := signer.ToCrypto(ctx, by)
	if err != nil {
		return nil, err
	}
	of, ok := subject.(ssh.CryptoPublicKey)
	if !ok {
		return nil, signer.ErrUnsupported
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, of.CryptoPublicKey(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// ParseCertificates reads the certificates in a PEM file.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("want certificates in PEM, and nothing else")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("no certificate in PEM in it")
	}
	return all, nil
}
