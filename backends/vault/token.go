package vault

import (
	"context"
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/keyfile"
)

// A token lets its holder use the server.
type token struct {
	secret  func() string     // a closure, so that nothing prints it
	renew   time.Time         // when it is renewed; zero: never
	expires time.Time         // zero: never
	file    *keyfile.Snapshot // nil: it is from no file
}

// setLife sets the times of a token that has seconds of life from now. A token with 0
// seconds has no end.
func (t *token) setLife(now time.Time, seconds int, renewable bool) {
	if seconds <= 0 {
		return
	}
	life := time.Duration(seconds) * time.Second
	t.expires = now.Add(life)
	if renewable {
		t.renew = now.Add(life * 2 / 3)
	}
}

// isPast reports whether t is set and not after now.
func isPast(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

func (t *token) isReplaced() bool { return t.file != nil && t.file.Stale() }

// tokenFor returns the token for a request. refused is a token that the server
// refused, or nil: then tokenFor logs in again, once for all callers that hold the
// same token.
func (c *client) tokenFor(ctx context.Context, refused *token) (*token, error) {
	unlock, err := c.tokens.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	t := c.token
	switch {
	case t == nil, t == refused, isPast(t.expires, c.now()), t.isReplaced():
	case isPast(t.renew, c.now()):
		renewed, err := c.renewed(ctx, t)
		if err != nil {
			return nil, err
		}
		if renewed {
			return c.token, nil
		}
	default:
		return t, nil
	}
	next, err := c.source(ctx, c)
	if err != nil {
		return nil, err
	}
	c.token = next
	return next, nil
}

// leastGain is how much later a token must expire if it is to be renewed again. The
// server tells the life in whole seconds, so a gain of a second may be none.
const leastGain = 2 * time.Second

// auth is the part of a reply that describes a token.
type auth struct {
	Token     string `json:"client_token"`
	Seconds   int    `json:"lease_duration"`
	Renewable bool   `json:"renewable"`
}

// renewed renews t. It reports false if the server does not renew it: a new login is
// needed. The caller holds c.tokens.
func (c *client) renewed(ctx context.Context, t *token) (bool, error) {
	r, err := c.send(ctx, t, http.MethodPost, "auth/token/renew-self", map[string]any{})
	if err != nil {
		return false, err
	}
	var reply struct {
		Auth auth `json:"auth"`
	}
	if c.decode(ctx, r, &reply) != nil || reply.Auth.Seconds <= 0 {
		return false, nil
	}
	next := &token{secret: t.secret, file: t.file}
	next.setLife(c.now(), reply.Auth.Seconds, reply.Auth.Renewable)
	if next.expires.Sub(t.expires) < leastGain { // the longest life of the token is reached
		next.renew = time.Time{}
	}
	c.token = next
	return true, nil
}
