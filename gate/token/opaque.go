package token

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// opaque is a [jose.OpaqueSigner] for a key from any backend. It signs one token.
type opaque struct {
	ctx    context.Context
	signer signer.Signer
	alg    jose.SignatureAlgorithm

	// token is the signed token: the text that is signed, which is header and claims in
	// base64, and the signature (RFC 7515, section 7.1). Package jose would marshal the
	// header with its certificates once more for it.
	token string
}

var _ jose.OpaqueSigner = (*opaque)(nil)

// Public implements [jose.OpaqueSigner]. The certificate in x5c names the key.
func (o *opaque) Public() *jose.JSONWebKey { return &jose.JSONWebKey{} }

// Algs implements [jose.OpaqueSigner].
func (o *opaque) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{o.alg} }

// SignPayload implements [jose.OpaqueSigner].
func (o *opaque) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	sig, err := o.signer.Sign(o.ctx, payload)
	if err != nil {
		return nil, err
	}
	blob := sig.Blob
	if size := coordinateSize(o.alg); size > 0 {
		if blob, err = fixedSize(blob, size); err != nil {
			return nil, err
		}
	}
	o.token = string(payload) + "." + base64.RawURLEncoding.EncodeToString(blob)
	return blob, nil
}

// algorithmOf returns the algorithm of the signatures that a Signer makes with key
// (RFC 7518, section 3.1; RFC 8037, section 3.1).
func algorithmOf(key ssh.PublicKey) (jose.SignatureAlgorithm, error) {
	switch t := key.Type(); t {
	case ssh.KeyAlgoED25519:
		return jose.EdDSA, nil
	case ssh.KeyAlgoECDSA256:
		return jose.ES256, nil
	case ssh.KeyAlgoECDSA384:
		return jose.ES384, nil
	case ssh.KeyAlgoECDSA521:
		return jose.ES512, nil
	case ssh.KeyAlgoRSA:
		return jose.RS512, nil
	default:
		return "", fmt.Errorf("%w: no token can have a signature of a key of type %s", signer.ErrUnsupported, t)
	}
}

// coordinateSize returns the length of each half of an ECDSA signature, or 0.
func coordinateSize(alg jose.SignatureAlgorithm) int {
	switch alg {
	case jose.ES256:
		return 32
	case jose.ES384:
		return 48
	case jose.ES512:
		return 66
	}
	return 0
}

// fixedSize turns SSH's form of an ECDSA signature (RFC 5656, section 3.1.2) into that
// of a token (RFC 7518, section 3.4).
func fixedSize(blob []byte, size int) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	if err := ssh.Unmarshal(blob, &sig); err != nil {
		return nil, err
	}
	if sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 8*size || sig.S.BitLen() > 8*size {
		return nil, errors.New("the signing key returned a malformed ECDSA signature")
	}
	both := make([]byte, 2*size)
	sig.R.FillBytes(both[:size])
	sig.S.FillBytes(both[size:])
	return both, nil
}

// isKeyOf reports whether key is the key of certificate.
func isKeyOf(certificate *x509.Certificate, key ssh.PublicKey) bool {
	of, err := ssh.NewPublicKey(certificate.PublicKey)
	return err == nil && signer.SameKey(of, key)
}
