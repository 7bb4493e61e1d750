// Package check finds the mistakes in the files of a gate.
package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/registry"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// soon is how long before the end of a certificate there is a warning.
const soon = 30 * 24 * time.Hour

// A Report has the mistakes in the files that a configuration names, and their content
// in numbers.
type Report struct {
	Mistakes []error // with file and line where there is one
	Warnings []string

	Keys, Grants int
}

// Check reads all files that c names, and opens the signing keys through keys.
func Check(ctx context.Context, c *config.Config, keys signer.Backend, now time.Time) *Report {
	r := &Report{}
	names := r.keys(c)
	signing := map[string]config.Site{} // by fingerprint
	for _, s := range c.Sites {
		r.grants(s, names)
		if !s.HasTokens() {
			continue
		}
		key, err := keys.Open(signer.WithoutPrompt(ctx), s.Tokens.SigningKey)
		if err != nil {
			r.add(fmt.Errorf("%s:%d: signing key: %w", printable.Text(c.File), s.Line, err))
			continue
		}
		fingerprint := ssh.FingerprintSHA256(key.PublicKey())
		if other, taken := signing[fingerprint]; taken {
			r.add(fmt.Errorf("%s:%d: the sites in line %d and here have one signing key: tokens of one would be valid at the other", printable.Text(c.File), s.Line, other.Line))
		}
		signing[fingerprint] = s
		r.tokens(s, key, now)
	}
	return r
}

func (r *Report) add(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			r.add(e)
		}
		return
	}
	if err != nil {
		r.Mistakes = append(r.Mistakes, err)
	}
}

// keys checks the known keys and the deny list, and returns the names in use.
func (r *Report) keys(c *config.Config) map[string]bool {
	names := map[string]bool{}
	data, err := os.ReadFile(c.Keys.Authorized)
	if err != nil {
		r.add(printable.Error(err))
	}
	known := authkeys.Parse(data, c.Keys.Authorized)
	for _, m := range known.Mistakes {
		r.add(m)
	}
	for _, e := range known.Entries {
		names[e.Name] = true
	}
	r.Keys = len(known.Entries)
	if c.Keys.Denied != "" {
		data, err := os.ReadFile(c.Keys.Denied)
		if err != nil {
			r.add(printable.Error(err))
			return names
		}
		_, err = authkeys.ParseDenied(data, c.Keys.Denied)
		r.add(err)
	}
	return names
}

func (r *Report) grants(s config.Site, names map[string]bool) {
	data, err := os.ReadFile(s.Grants)
	if err != nil {
		r.add(printable.Error(err))
		return
	}
	g, err := grants.Parse(data, s.Grants)
	r.add(err)
	r.Grants += len(g.All())
	for _, grant := range g.All() {
		for _, name := range grant.Names {
			if name != "*" && !names[name] {
				r.Warnings = append(r.Warnings, fmt.Sprintf("%s:%d: no key has the name %s", printable.Text(s.Grants), grant.Line, name))
			}
		}
	}
}

func (r *Report) tokens(s config.Site, key signer.Signer, now time.Time) {
	t := s.Tokens
	root, err := certificates(t.Root)
	r.add(err)
	leaf, err := certificates(t.Certificate)
	r.add(err)
	if root != nil && leaf != nil {
		r.chain(t, root, leaf, key, now)
	}
	if t.BlobSecret != "" {
		data, err := os.ReadFile(t.BlobSecret)
		if err == nil {
			_, err = registry.ParseSecret(data)
		}
		if err != nil {
			r.add(fmt.Errorf("%s: %w", printable.Text(t.BlobSecret), err))
		}
	}
}

func (r *Report) chain(t config.Tokens, root, leaf []*x509.Certificate, key signer.Signer, now time.Time) {
	if err := token.VerifyChain(leaf, root, now); err != nil {
		r.add(fmt.Errorf("%s: %w", printable.Text(t.Certificate), err))
		return
	}
	if _, err := token.NewIssuer(key, leaf); err != nil {
		r.add(fmt.Errorf("%s: %w", printable.Text(t.Certificate), err))
	}
	if end := root[0].NotAfter; end.Sub(now) < soon {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s ends on %s: make a new one, and give both to the registry", printable.Text(t.Root), end.UTC().Format(time.DateOnly)))
	}
	if end := leaf[0].NotAfter; end.Sub(now) < soon {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s ends on %s: run countersignd rotate", printable.Text(t.Certificate), end.UTC().Format(time.DateOnly)))
	}
}

func certificates(path string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, printable.Error(err)
	}
	all, err := token.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Text(path), err)
	}
	return all, nil
}
