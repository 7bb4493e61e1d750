package challenge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/signer"
)

// A KeyFunc returns the signer for origin, the server that wants a signature. It is
// called for each challenge and for each token that is taken from memory, by several
// goroutines at once: see [signer.Keeper].
type KeyFunc func(ctx context.Context, origin Origin) (signer.Signer, error)

// StaticKey returns a KeyFunc that returns s for every origin.
func StaticKey(s signer.Signer) KeyFunc {
	return func(context.Context, Origin) (signer.Signer, error) { return s, nil }
}

// A callerRequest describes the request that a caller sends.
type callerRequest struct {
	origin       Origin   // of the server that it goes to
	redirectedBy []Origin // other origins that redirected it, in order
	userAgent    string
	unsafe       error // why neither a token nor a signature may be in it, or nil
}

// describeRequest follows the redirects of [http.Client] back to the first request.
func describeRequest(req *http.Request) (callerRequest, error) {
	to, err := OriginOf(req.URL)
	if err != nil {
		return callerRequest{}, err
	}
	r := callerRequest{origin: to, userAgent: req.Header.Get("User-Agent")}
	for resp := req.Response; resp != nil; {
		var from Origin // the zero value, which no policy allows, if it is not known
		earlier := resp.Request
		resp = nil
		if earlier != nil && earlier.URL != nil {
			resp = earlier.Response
			from, _ = OriginOf(earlier.URL)
		}
		if from != to && !from.isUpgradedTo(to) {
			r.redirectedBy = append(r.redirectedBy, from)
		}
	}
	slices.Reverse(r.redirectedBy)
	return r, nil
}

// checkRedirects returns ErrRealm unless allow lets every other origin that
// redirected the request have it answered. Without this check a server could choose
// a request to another server, and the key would sign it.
func (r callerRequest) checkRedirects(allow func(Origin) error) error {
	for _, origin := range r.redirectedBy {
		if err := allow(origin); err != nil {
			return fmt.Errorf("%w (%s)", err, r.redirection(origin))
		}
	}
	return nil
}

// redirection names the first of the other origins, and origin.
func (r callerRequest) redirection(origin Origin) string {
	first := r.redirectedBy[0]
	if origin == first {
		return "the request was redirected here from " + nameOf(first)
	}
	return fmt.Sprintf("the request to %s was redirected here by %s", nameOf(first), nameOf(origin))
}

func nameOf(o Origin) string {
	if o == (Origin{}) {
		return "an unknown origin"
	}
	return o.String()
}

// openKey is the gate in front of every signature and every token: no other code
// calls a KeyFunc, and a Client looks for tokens in its memory only for a key from
// here. The errors are ErrRealm and those of key.
func (r callerRequest) openKey(ctx context.Context, key KeyFunc, allow func(Origin) error) (signer.Signer, error) {
	if r.unsafe != nil {
		return nil, r.unsafe
	}
	if err := r.checkRedirects(allow); err != nil {
		return nil, err
	}
	if key == nil {
		return nil, errors.New("the field Key is nil: there is no key to sign with")
	}
	s, err := key(ctx, r.origin)
	if err == nil && s == nil {
		return nil, errors.New("the function in the field Key returned neither a signer nor an error")
	}
	return s, err
}

// A tokenRequest holds the parameters of a challenge that the policy allows: the registry
// may have it answered at the realm, the token endpoint. It does not change.
type tokenRequest struct {
	registry  Origin
	realm     *url.URL
	realmText string
	service   string
	scope     string   // as the challenge has it
	tolerated []string // mistakes in the challenge
	id        string   // of all requests for the same token
}

// newTokenRequest applies the policy to ch, a challenge to r.
func (c *Client) newTokenRequest(ctx context.Context, ch Challenge, r callerRequest) (*tokenRequest, error) {
	if !answerable(ch) {
		return nil, c.refuse(ctx, ch, r, &Error{Op: "read challenge", Err: ErrNoChallenge})
	}
	realm, err := c.Policy.CheckRealm(r.origin, ch.Get("realm"))
	if err == nil {
		err = r.unsafe
	}
	if err == nil {
		_, err = c.clientFor(realm)
	}
	if err == nil {
		err = r.checkRedirects(c.allows(realm.String()))
	}
	if err != nil {
		return nil, c.refuse(ctx, ch, r, &Error{Op: "check realm", Err: err})
	}
	want := tokenRequest{registry: r.origin, realm: realm, realmText: realm.String(), service: ch.Get("service"), tolerated: ch.Tolerated}.withScope(ch.Get("scope"))
	c.tell(ctx, challenged, want.event(keyID{}))
	return want, nil
}

// refuse completes e with the parameters of ch.
func (c *Client) refuse(ctx context.Context, ch Challenge, r callerRequest, e *Error) *Error {
	e.Registry, e.Realm, e.Scope, e.tolerated = r.origin.String(), ch.Get("realm"), ch.Get("scope"), ch.Tolerated
	c.clean(e)
	c.tell(ctx, refused, Event{Registry: e.Registry, Realm: e.Realm, Service: ch.Get("service"), Scope: e.Scope, Err: e})
	return e
}

// allows returns a function that tells whether realm may be answered for an origin.
func (c *Client) allows(realm string) func(Origin) error {
	return func(o Origin) error {
		_, err := c.Policy.CheckRealm(o, realm)
		return err
	}
}

// withScope returns a tokenRequest for another scope of the same registry.
func (r tokenRequest) withScope(scope string) *tokenRequest {
	r.scope = scope
	// No part of an identifier holds a NUL, because no header field does.
	r.id = strings.Join([]string{r.registry.String(), r.realmText, r.service, normalScope(scope)}, "\x00")
	return &r
}

// size returns about how many bytes r takes.
func (r *tokenRequest) size() int {
	return 2*len(r.realmText) + len(r.service) + len(r.scope) + len(r.id)
}
