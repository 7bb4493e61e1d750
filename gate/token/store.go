package token

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/watch"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// leeway is how far the clocks of two gates may differ.
const leeway = 10 * time.Second

// openTimeout bounds the opening of a signing key.
const openTimeout = 30 * time.Second

// A Store has the root certificate and the signing key of a site as they are now. It is
// safe for concurrent use.
type Store struct {
	site   config.Site
	root   *watch.File[*roots]
	issuer *watch.File[*Issuer]
	seen   verified
}

// Open reads the certificates of a site and opens its signing key through keys, which
// opens references. It does so again whenever the file of the leaf certificate changes.
// Keys must not keep opened keys.
func Open(site config.Site, keys signer.Backend) (*Store, error) {
	s := &Store{site: site}
	var err, err2 error
	s.root, err = watch.Open(site.Tokens.Root, func(data []byte) (*roots, error) {
		return parseRoot(site.Tokens.Root, data)
	})
	s.issuer, err2 = watch.Open(site.Tokens.Certificate, func(data []byte) (*Issuer, error) {
		return s.openIssuer(data, keys)
	})
	return s, errors.Join(err, err2)
}

// roots are the root certificates that are trusted now.
type roots struct {
	all  []*x509.Certificate
	pool *x509.CertPool
}

func parseRoot(path string, data []byte) (*roots, error) {
	all, err := ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Text(path), err)
	}
	return &roots{all, poolOf(all)}, nil
}

func poolOf(all []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool
}

func (s *Store) openIssuer(data []byte, keys signer.Backend) (*Issuer, error) {
	t := s.site.Tokens
	chain, err := ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Text(t.Certificate), err)
	}
	if roots := s.root.Get(); roots != nil {
		if err := VerifyChain(chain, roots.all, time.Now()); err != nil {
			return nil, fmt.Errorf("%s: %w", printable.Text(t.Certificate), err)
		}
	}
	ctx, cancel := context.WithTimeout(signer.WithoutPrompt(context.Background()), openTimeout)
	defer cancel()
	key, err := keys.Open(ctx, t.SigningKey)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	i, err := NewIssuer(key, chain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Text(t.Certificate), err)
	}
	return i, nil
}

// VerifyChain returns an error unless the first of chain is certified by one of roots
// now.
func VerifyChain(chain, roots []*x509.Certificate, now time.Time) error {
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: poolOf(roots), Intermediates: poolOf(chain[1:]), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// Files returns the files to look at.
func (s *Store) Files() []watch.Watched { return []watch.Watched{s.root, s.issuer} }

// Issuer returns the present signing key.
func (s *Store) Issuer() *Issuer { return s.issuer.Get() }

// Sign returns a token of the site with claims, whose Issuer and Audience it sets.
func (s *Store) Sign(ctx context.Context, claims Claims, now time.Time) (string, *Claims, error) {
	claims.Issuer, claims.Audience = s.site.Issuer(), s.site.Service()
	return s.Issuer().Sign(ctx, claims, now, s.site.Tokens.Lifetime)
}

// algorithms are those of signing keys.
var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.ES384, jose.ES512, jose.RS512}

// Verify returns the claims of a token of the site that is valid now. Errors wrap
// ErrInvalid and repeat nothing of the token. The caller checks that the key is still
// enrolled and that the grants still allow the access.
func (s *Store) Verify(raw string, now time.Time) (*Claims, error) {
	trusted := s.root.Get()
	claims := s.seen.find(raw, trusted)
	if claims == nil {
		var err error
		if claims, err = s.parse(raw, trusted.pool, now); err != nil {
			return nil, err
		}
		s.seen.add(raw, trusted, claims)
	}
	switch {
	case claims.Issuer != s.site.Issuer() || claims.Audience != s.site.Service():
		return nil, fmt.Errorf("%w: it is one of another site", ErrInvalid)
	case !now.Before(claims.Expires.Time()): // 1970 without an exp
		return nil, fmt.Errorf("%w: it has expired", ErrInvalid)
	case now.Add(leeway).Before(claims.Begins.Time()):
		return nil, fmt.Errorf("%w: it is not valid yet", ErrInvalid)
	}
	return claims, nil
}

func (s *Store) parse(raw string, roots *x509.CertPool, now time.Time) (*Claims, error) {
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, fmt.Errorf("%w: it is malformed", ErrInvalid)
	}
	chains, err := token.Headers[0].Certificates(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, fmt.Errorf("%w: its certificate is not one of this site", ErrInvalid)
	}
	claims := &Claims{}
	if err := token.Claims(chains[0][0].PublicKey, claims); err != nil {
		return nil, fmt.Errorf("%w: its signature is wrong", ErrInvalid)
	}
	return claims, nil
}

// maxVerified is the number of tokens whose signatures are remembered as right.
const maxVerified = 1 << 14

// verified remembers the claims of tokens whose signature is right, because a pull
// sends one token many times.
type verified struct {
	mu         sync.Mutex
	roots      *roots
	young, old map[[sha256.Size]byte]*Claims
}

func (v *verified) find(raw string, trusted *roots) *Claims {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roots != trusted {
		return nil
	}
	id := sha256.Sum256([]byte(raw))
	if c := v.young[id]; c != nil {
		return c
	}
	return v.old[id]
}

func (v *verified) add(raw string, trusted *roots, c *Claims) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roots != trusted {
		v.roots, v.young, v.old = trusted, nil, nil
	}
	if v.young == nil || len(v.young) >= maxVerified/2 {
		v.old, v.young = v.young, map[[sha256.Size]byte]*Claims{}
	}
	v.young[sha256.Sum256([]byte(raw))] = c
}
