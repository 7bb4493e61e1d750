package challenge

import (
	"fmt"
	"net/url"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// An ask is what a registry asks for, once the policy has found that it may be
// answered.
type ask struct {
	site    *url.URL // of the registry, its origin only
	origin  string   // the same in normal form
	realm   *url.URL
	service string
	scope   string // as the challenge has it
	normal  string // normal form of scope
}

// admit applies the policy to ch, a challenge to a request to u that was first
// sent to first and redirected from there, if the two differ: whoever redirects
// could otherwise choose whom the key signs for.
func (c *Client) admit(ch Challenge, u, first *url.URL) (ask, error) {
	a := ask{service: ch.Get("service"), scope: ch.Get("scope")}
	a.normal = normalScope(a.scope)
	e := &Error{Realm: printable(ch.Get("realm")), Scope: printable(a.scope)}
	from, err := originOf(u)
	if err != nil {
		e.Op, e.Err = "read challenge", err
		return ask{}, e
	}
	a.site, a.origin = &url.URL{Scheme: u.Scheme, Host: u.Host}, from.String()
	e.Registry = a.origin
	if !answerable(ch) {
		e.Op, e.Err = "read challenge", ErrNoChallenge
		return ask{}, e
	}
	for _, registry := range []*url.URL{u, first} {
		if a.realm, err = c.policy().check(registry, ch.Get("realm")); err != nil {
			e.Op, e.Err = "check realm", err
			return ask{}, e
		}
	}
	return a, nil
}

// withScope returns an ask for something else of the same registry.
func (a ask) withScope(scope string) ask {
	a.scope, a.normal = scope, normalScope(scope)
	return a
}

func (a ask) need(k keyID) need {
	return need{a.origin, a.realmText(), a.service, a.normal, k.fingerprint}
}

func (a ask) realmText() string {
	if a.realm == nil {
		return ""
	}
	return a.realm.String()
}

// fail fills in what e leaves out.
func (a ask) fail(k keyID, e *Error) *Error {
	e.Registry, e.Realm, e.Scope = a.origin, printable(a.realmText()), printable(a.scope)
	e.Key, e.Ref = k.fingerprint, k.ref
	return e
}

// keyID is how a key is spoken of.
type keyID struct{ fingerprint, ref string }

func identify(s signer.Signer) keyID {
	id := keyID{fingerprint: ssh.FingerprintSHA256(s.PublicKey())}
	if named, ok := s.(fmt.Stringer); ok { // as signer.Mux makes them
		id.ref = named.String()
	}
	return id
}
