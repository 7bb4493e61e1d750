package config

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// Client returns a client that answers each registry with the key that is chosen
// for it, opened from b at the first challenge, and follows the realms and
// insecure registries of the file. What q says of the registry is ignored.
func (c *Config) Client(b signer.Backend, q Query) *challenge.Client {
	var refs, choices keeper
	once := signer.OpenFunc(func(ctx context.Context, ref string) (signer.Signer, error) {
		return refs.open(ctx, ref, b, ref) // one prompt, however many registries have this key
	})
	return &challenge.Client{
		Key: func(ctx context.Context, origin *url.URL) (signer.Signer, error) {
			q := q
			q.Registry = origin
			choice := c.Choose(q)
			return choices.open(ctx, fmt.Sprint(choice.Candidates), choice.backend(once), "")
		},
		Policy: c.Policy(),
	}
}

// backend returns a backend that opens the choice, whatever the name.
func (c Choice) backend(b signer.Backend) signer.Backend {
	return signer.OpenFunc(func(ctx context.Context, _ string) (signer.Signer, error) {
		s, _, err := c.Open(ctx, b)
		return s, err
	})
}

// A keeper keeps signers, as [signer.Keep] does, each under a name.
type keeper struct {
	mu   sync.Mutex
	kept map[string]func(context.Context) (signer.Signer, error)
}

func (k *keeper) open(ctx context.Context, name string, b signer.Backend, ref string) (signer.Signer, error) {
	k.mu.Lock()
	if k.kept == nil {
		k.kept = map[string]func(context.Context) (signer.Signer, error){}
	}
	if k.kept[name] == nil {
		k.kept[name] = signer.Keep(b, ref)
	}
	open := k.kept[name]
	k.mu.Unlock()
	return open(ctx)
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
