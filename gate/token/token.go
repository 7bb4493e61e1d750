// Package token makes and verifies the tokens of a site: JSON Web Tokens as CNCF
// distribution takes them (docs/content/spec/auth/jwt.md), signed by a key from any
// backend.
//
// Each token has the leaf certificate of its signing key in x5c. A registry knows only
// the root certificate (rootcertbundle), so signing keys change without a restart of
// the registry.
package token

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/signer"
)

// ErrInvalid: the token is not one of this site, or not valid now.
var ErrInvalid = errors.New("invalid token")

// Claims are the content of a token.
type Claims struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"` // the name of the key's owner, "" for an anonymous client
	Audience string           `json:"aud"`
	Expires  *jwt.NumericDate `json:"exp"`
	Begins   *jwt.NumericDate `json:"nbf"`
	Issued   *jwt.NumericDate `json:"iat"`
	ID       string           `json:"jti"`
	Access   []scope.Access   `json:"access"`

	// Key is the fingerprint of the key that got the token, "" for an anonymous
	// client. Only the gate reads it.
	Key string `json:"countersign_key,omitempty"`
}

// An Issuer signs tokens with one key. It is safe for concurrent use.
type Issuer struct {
	signer signer.Signer
	alg    jose.SignatureAlgorithm
	chain  []*x509.Certificate
	// options are those of the signatures. They do not change.
	options *jose.SignerOptions
}

// NewIssuer returns an Issuer that signs with s, whose certificate is the first of
// chain. It is an error if the certificate is that of another key, or if tokens cannot
// have signatures of such a key.
func NewIssuer(s signer.Signer, chain []*x509.Certificate) (*Issuer, error) {
	alg, err := algorithmOf(s.PublicKey())
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 || !isKeyOf(chain[0], s.PublicKey()) {
		return nil, errors.New("the certificate is not that of the signing key")
	}
	i := &Issuer{signer: s, alg: alg, chain: chain}
	var x5c []string
	for _, c := range chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	i.options = (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5c", x5c)
	return i, nil
}

// Expires returns the end of the certificate.
func (i *Issuer) Expires() time.Time { return i.chain[0].NotAfter }

// Sign returns a token with claims. It sets ID, Issued, Begins and Expires: the token
// is valid from now on for lifetime, and not longer than the certificate. Errors are
// those of the signing key.
func (i *Issuer) Sign(ctx context.Context, claims Claims, now time.Time, lifetime time.Duration) (string, *Claims, error) {
	end := now.Add(lifetime)
	if end.After(i.Expires()) {
		end = i.Expires()
	}
	if !end.After(now) {
		return "", nil, fmt.Errorf("the certificate of the signing key ended on %s: run countersignd rotate", i.Expires().UTC().Format(time.DateTime))
	}
	claims.ID = rand.Text()
	claims.Issued, claims.Begins, claims.Expires = jwt.NewNumericDate(now), jwt.NewNumericDate(now), jwt.NewNumericDate(end)
	if claims.Access == nil {
		claims.Access = []scope.Access{}
	}
	key := &opaque{ctx: ctx, signer: i.signer, alg: i.alg}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: i.alg, Key: key}, i.options)
	if err != nil {
		return "", nil, err
	}
	payload, err := json.Marshal(claims) // package jwt would parse it and marshal it once more
	if err != nil {
		return "", nil, err
	}
	if _, err := s.Sign(payload); err != nil {
		return "", nil, err
	}
	return key.token, &claims, nil
}
