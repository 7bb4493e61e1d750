package challenge

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ErrRealm: the realm policy refused to answer. No key was touched.
var ErrRealm = errors.New("realm refused")

// A Policy decides which challenges are answered: which token endpoints (realms)
// may get a signature for which registries. A realm on the registry's own origin
// always may. The zero value allows the pairs of DefaultRealms, and plain http to
// this machine only.
type Policy struct {
	// Pairs are the realms on other origins than the registry's; nil means
	// DefaultRealms, an empty slice none.
	Pairs []RealmPair

	// Insecure lists the registries that may use plain http, by their http origin.
	// This machine always may.
	Insecure []Origin
}

// A RealmPair lets one registry send its clients to a token endpoint on another
// origin. It is a pair because every registry could send its clients to a realm
// that is trusted for all, and get a signature there.
type RealmPair struct {
	Registry Origin `json:"registry"`
	Realm    Origin `json:"realm"`
}

// DefaultRealms returns the pairs that a Policy has when its Pairs is nil.
func DefaultRealms() []RealmPair {
	return []RealmPair{
		{Registry: httpsOrigin("registry.ollama.ai"), Realm: httpsOrigin("ollama.com")},
		{Registry: httpsOrigin("hf.co"), Realm: httpsOrigin("huggingface.co")},
	}
}

func httpsOrigin(host string) Origin { return Origin{"https", host, httpsPort} }

// CheckRealm returns the URL of realm, the token endpoint that a challenge names,
// if registry may have its challenge answered there. Errors are ErrRealm.
func (p Policy) CheckRealm(registry Origin, realm string) (*url.URL, error) {
	u, err := url.Parse(realm)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not a URL", ErrRealm)
	}
	to, err := OriginOf(u)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRealm, err)
	}
	if err := checkForm(u, realm); err != nil {
		return nil, err
	}
	if registry == (Origin{}) {
		return nil, fmt.Errorf("%w: the registry's origin is not known", ErrRealm)
	}
	if err := p.checkStep(registry, to); err != nil {
		return nil, err
	}
	if registry == to || slices.Contains(p.pairs(), RealmPair{registry, to}) {
		return u, nil
	}
	return nil, fmt.Errorf("%w: it is on another origin than the registry: if that is right, list the two as a pair", ErrRealm)
}

// CheckPlain returns ErrRealm for an http origin that is neither this machine nor
// in Insecure: no signature and no token may go there.
func (p Policy) CheckPlain(o Origin) error { return p.checkStep(o, o) }

func (p Policy) pairs() []RealmPair {
	if p.Pairs == nil {
		return DefaultRealms()
	}
	return p.Pairs
}

func checkForm(u *url.URL, realm string) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("%w: it holds a user name", ErrRealm)
	case strings.Contains(realm, "#"):
		return fmt.Errorf("%w: it holds a fragment", ErrRealm)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: its query is malformed", ErrRealm)
	}
	if query.Has("ts") || query.Has("nonce") { // the server may read these and not ours
		return fmt.Errorf("%w: its query has a ts or nonce of its own", ErrRealm)
	}
	return nil
}

// checkStep allows http to this machine and to listed registries, and never a step
// down from https.
func (p Policy) checkStep(from, to Origin) error {
	switch {
	case to.scheme == "https":
		return nil
	case from.scheme == "https":
		return fmt.Errorf("%w: it steps down from https to http", ErrRealm)
	case from.isLoopback() && to.isLoopback(), slices.Contains(p.Insecure, from):
		return nil
	}
	return fmt.Errorf("%w: plain http to %s: use https, or list the registry as insecure", ErrRealm, to)
}
