package challenge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/countersign/countersign/signer"
)

const (
	// exchangeTimeout bounds an exchange that nobody waits for any more. It leaves
	// a person time to unlock the key.
	exchangeTimeout = 5 * time.Minute

	// requestTimeout bounds each request to a realm, so that one that hangs does
	// not hold up for long those who share its exchange.
	requestTimeout = 30 * time.Second
)

// A Client exchanges challenges for tokens and remembers the tokens until
// shortly before they expire. Only Key has to be set. It is safe for concurrent
// use; its fields are not to be changed once it is in use, nor is it to be
// copied.
type Client struct {
	// Key yields the signer for a registry, named by the scheme, host and port of
	// the request that it challenged. It is called when a challenge may be
	// answered and for each token that is taken from memory: see [signer.Keeper]. The
	// host is in lower case and without a default port; origin must not be changed.
	Key func(ctx context.Context, origin *url.URL) (signer.Signer, error)

	// HTTP makes the token requests; nil means http.DefaultTransport with at most
	// 64 KiB of header. Where a registry needs a certificate authority or a proxy
	// of its own, set it as well as Transport.Base. Each request has half a minute,
	// and no redirect is followed, whatever it says.
	HTTP *http.Client

	// Policy decides which challenges are answered.
	Policy Policy

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	cache     cache
	exchanges singleflight.Group
	setUp     sync.Once
	http      *http.Client
	last      atomic.Pointer[identified]
}

// Token answers ch, a challenge to a request to origin: from memory if it can,
// otherwise by one exchange for all who need the same meanwhile. Each caller
// gives up when its own ctx ends; the exchange goes on for the others. A token
// that will expire soon is returned at once, and its successor fetched
// meanwhile. Failures are not remembered.
//
// Errors are of type *[Error]: ErrRealm if the policy refuses the realm (the key
// is not touched then), ErrRejected, ErrReply, or the cause that the key or the
// connection gave.
func (c *Client) Token(ctx context.Context, ch Challenge, origin *url.URL) (Token, error) {
	a, err := c.admit(ch, origin, origin)
	if err != nil {
		return Token{}, err
	}
	t, _, err := c.token(ctx, a)
	return t, err
}

// token also tells whether the token is fresh from an exchange.
func (c *Client) token(ctx context.Context, a *ask) (t Token, fresh bool, err error) {
	if c.Key == nil {
		return Token{}, false, a.fail(keyID{}, &Error{Op: "get key", Err: errors.New("Client.Key is nil: there is no key to sign with")})
	}
	key, err := c.Key(ctx, a.site)
	if err != nil {
		return Token{}, false, a.fail(keyID{}, &Error{Op: "get key", Err: err})
	}
	if key == nil {
		return Token{}, false, a.fail(keyID{}, &Error{Op: "get key", Err: errors.New("Client.Key returned neither a signer nor an error")})
	}
	id := c.identify(key)
	have, now := c.cache.get(a.need(id)), c.now()
	if have.usableAt(now) {
		if have.ageingAt(now) && have.renewed.CompareAndSwap(false, true) {
			c.exchange(ctx, a, key, id)
		}
		return have, false, nil
	}
	if err := ctx.Err(); err != nil {
		return Token{}, false, a.fail(id, &Error{Op: "get token", Err: err})
	}
	select {
	case r := <-c.exchange(ctx, a, key, id):
		if r.Err != nil {
			return Token{}, false, r.Err
		}
		return r.Val.(Token), true, nil
	case <-ctx.Done():
		return Token{}, false, a.fail(id, &Error{Op: "get token", Err: ctx.Err()})
	}
}

// exchange gets a new token, once for all who ask meanwhile, and outlives ctx.
func (c *Client) exchange(ctx context.Context, a *ask, key signer.Signer, id keyID) <-chan singleflight.Result {
	n := a.need(id)
	return c.exchanges.DoChan(n.String(), func() (any, error) {
		if t := c.cache.get(n); t.usableAt(c.now()) && !t.ageingAt(c.now()) {
			return t, nil // another exchange ended just before this one
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTimeout)
		defer cancel()
		x := &exchange{http: c.client(), now: c.now, ask: a, key: key, id: id}
		issued, err := x.run(ctx)
		if err != nil {
			return nil, a.fail(id, err)
		}
		t := Token{issued}
		c.cache.put(t, c.now())
		return t, nil
	})
}

// client follows no redirect: the target would not be the realm that was signed.
func (c *Client) client() *http.Client {
	c.setUp.Do(func() {
		h := http.Client{Transport: limitedTransport()}
		if c.HTTP != nil {
			h = *c.HTTP
		}
		h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.http = &h
	})
	return c.http
}

// limitedTransport is http's default with a bound on what a reply's header may
// take; a program that has put something else in its place keeps that.
func limitedTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}
