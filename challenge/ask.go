package challenge

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// An ask is what a registry asks for, once the policy has found that it may be
// answered. It does not change.
type ask struct {
	site    *url.URL // of the registry, its origin only
	origin  string   // the same in normal form
	realm   *url.URL
	text    string // of realm
	service string
	scope   string // as the challenge has it
	normal  string // normal form of scope
	what    string // all that tells it from others, joined once
}

// admit applies the policy to ch, a challenge to a request to u that was first
// sent to first and redirected from there, if the two differ: whoever redirects
// could otherwise choose whom the key signs for.
func (c *Client) admit(ch Challenge, u, first *url.URL) (*ask, error) {
	a := &ask{service: ch.Get("service"), scope: ch.Get("scope")}
	e := &Error{Realm: printable.Text(ch.Get("realm")), Scope: printable.Text(a.scope)}
	from, err := OriginOf(u)
	if err != nil {
		e.Op, e.Err = "read challenge", err
		return nil, e
	}
	a.site, a.origin = from.URL(), from.String()
	e.Registry = a.origin
	if !answerable(ch) {
		e.Op, e.Err = "read challenge", ErrNoChallenge
		return nil, e
	}
	e.Op = "check realm"
	if a.realm, e.Err = c.Policy.CheckRealm(from, ch.Get("realm")); e.Err != nil {
		return nil, e
	}
	if asked, err := OriginOf(first); err != nil || asked != from && !asked.isUpgradedTo(from) {
		if _, err := c.Policy.CheckRealm(asked, ch.Get("realm")); err != nil {
			e.Err = fmt.Errorf("%w (the request was redirected here from %s)", err, asked)
			return nil, e
		}
	}
	a.text = a.realm.String()
	return a.withScope(a.scope), nil
}

// withScope returns an ask for something else of the same registry.
func (a ask) withScope(scope string) *ask {
	a.scope, a.normal = scope, normalScope(scope)
	a.what = strings.Join([]string{a.origin, a.text, a.service, a.normal}, "\x00") // none of them holds one
	return &a
}

func (a *ask) need(k keyID) need {
	return need{a.what, k.fingerprint}
}

// fail fills in what e leaves out.
func (a *ask) fail(k keyID, e *Error) *Error {
	e.Registry, e.Realm, e.Scope = a.origin, printable.Text(a.text), printable.Text(a.scope)
	e.Key, e.Ref = k.fingerprint, k.ref
	return e
}

// keyID is how a key is spoken of.
type keyID struct{ fingerprint, ref string }

// identified is a key whose identity is known.
type identified struct {
	key signer.Signer
	id  keyID
}

// identify hashes a public key only when it is another one than the last time.
func (c *Client) identify(s signer.Signer) keyID {
	isPointer := reflect.TypeOf(s).Kind() == reflect.Pointer // others may not compare
	if last := c.last.Load(); last != nil && isPointer && last.key == s {
		return last.id
	}
	id := keyID{fingerprint: ssh.FingerprintSHA256(s.PublicKey())}
	if named, ok := s.(fmt.Stringer); ok { // as signer.Mux makes them
		id.ref = named.String()
	}
	if isPointer {
		c.last.Store(&identified{s, id})
	}
	return id
}
