package config

import (
	"context"
	"net/http"
	"slices"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/signer"
)

// Client returns a client that answers each registry with the key that is chosen
// for it, opened from b at the first challenge, and follows the realms and
// insecure registries of the file. The registry of q is ignored.
func (c *Config) Client(b signer.Backend, q Query) *challenge.Client {
	keys := &signer.Keeper{Backend: b} // one prompt for a key that several registries have
	registries := &signer.Keeper{Backend: signer.OpenFunc(func(ctx context.Context, origin string) (signer.Signer, error) {
		registry, err := challenge.ParseOrigin(origin)
		if err != nil {
			return nil, err
		}
		q := q
		q.Registry = registry.URL()
		s, _, err := c.Choose(q).Open(ctx, keys)
		return s, err
	})}
	return &challenge.Client{
		Key: func(ctx context.Context, origin challenge.Origin) (signer.Signer, error) {
			return registries.Open(ctx, origin.String())
		},
		Policy: c.Policy(),
		Base:   c.base(),
	}
}

// base returns nil if no registry has a certificate of its own.
func (c *Config) base() http.RoundTripper {
	if !c.hasTLS() {
		return nil
	}
	return c.Transport(httpclient.NewTransport())
}

// Policy returns the policy of the file: the pairs that come with package
// challenge, but for registries whose section names realms, and those of the
// sections; and the registries that the file calls insecure.
func (c *Config) Policy() challenge.Policy {
	p := challenge.Policy{Pairs: slices.DeleteFunc(challenge.DefaultRealms(), func(pair challenge.RealmPair) bool {
		return c.section(pair.Registry.URL()).realms != nil
	})}
	for _, name := range c.Registries() {
		s := c.registries[name]
		if s.insecure {
			p.Insecure = append(p.Insecure, s.site.plain)
		}
		for _, realm := range s.realms {
			p.Pairs = append(p.Pairs, challenge.RealmPair{Registry: s.site.secure, Realm: realm})
			if p.CheckPlain(s.site.plain) == nil {
				p.Pairs = append(p.Pairs, challenge.RealmPair{Registry: s.site.plain, Realm: realm})
			}
		}
	}
	return p
}
