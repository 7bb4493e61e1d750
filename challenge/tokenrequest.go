package challenge

import (
	"context"
	"net/url"
	"strings"
)

// A tokenRequest is what a challenge asks a client to get at the token endpoint, the
// realm. The policy allows that realm for the registry. It does not change.
type tokenRequest struct {
	registry  Origin
	realm     *url.URL
	realmText string
	service   string
	scope     string // as the challenge has it
	id        string // of all requests for the same token
}

// newTokenRequest applies the policy to ch, a challenge to r.
func (c *Client) newTokenRequest(ctx context.Context, ch Challenge, r callerRequest) (*tokenRequest, error) {
	if !answerable(ch) {
		return nil, c.refuse(ctx, ch, r, &Error{Op: "read challenge", Err: ErrNoChallenge})
	}
	realm, err := c.Policy.CheckRealm(r.origin, ch.Get("realm"))
	if err == nil {
		err = r.checkRedirects(c.allows(realm.String()))
	}
	if err != nil {
		return nil, c.refuse(ctx, ch, r, &Error{Op: "check realm", Err: err})
	}
	want := tokenRequest{registry: r.origin, realm: realm, realmText: realm.String(), service: ch.Get("service")}.withScope(ch.Get("scope"))
	c.tell(ctx, challenged, want.event(keyID{}))
	return want, nil
}

// refuse returns e, completed with what ch says.
func (c *Client) refuse(ctx context.Context, ch Challenge, r callerRequest, e *Error) *Error {
	e.Registry, e.Realm, e.Scope = r.origin.String(), ch.Get("realm"), ch.Get("scope")
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
