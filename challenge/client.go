package challenge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/countersign/countersign/signer"
)

// A Client exchanges challenges for tokens and remembers the tokens until shortly
// before they expire. Only Key must be set. It is safe for concurrent use. Do not
// change its fields after the first use, and do not copy it.
type Client struct {
	// Key returns the signer for the registry that challenged.
	Key KeyFunc

	// HTTP makes the token requests; nil means Base with at most 64 KiB of header. Each
	// request has half a minute. No redirect is followed: HTTP.CheckRedirect is not
	// called.
	HTTP *http.Client

	// Base connects to registries for a [Transport] without a Base, and to token
	// endpoints if HTTP is nil. Set it if a registry needs a certificate authority or a
	// proxy of its own. Nil means http.DefaultTransport.
	//
	// If Base has the method "TransportFor(Origin) http.RoundTripper", its result
	// connects to that origin.
	Base http.RoundTripper

	// Policy decides which challenges are answered.
	Policy Policy

	// UserAgent is the User-Agent of the token requests; "" means that of the request
	// that was challenged or, if it has none, the name of the program.
	UserAgent string

	// CacheBytes limits the memory for tokens and token requests; 0 means 32 MiB.
	// Expired tokens are dropped first, then the least recently used entries. If
	// CacheBytes is negative, nothing is remembered.
	CacheBytes int

	// Trace is told each step, in addition to the Trace of a request's context. It may
	// be nil.
	Trace *Trace

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	once    sync.Once
	http    *http.Client
	cache   cache
	flights flights
	secrets secrets

	toRegistries, toRealms loopback
}

// Token returns a token that answers ch, the challenge to req: from memory, or from
// one exchange for all callers that need the same token. Each caller leaves when its
// own ctx ends, and the exchange ends with the last caller. A token that will expire
// soon is returned at once, and the next one is fetched in the background. Failures
// are not remembered.
//
// The policy must allow the realm for the origin of req and for each origin that
// redirected req, as [http.Client] tells in req.Response.
//
// Errors are of type *[Error]: ErrNoChallenge; ErrRealm if the policy refuses the
// realm, before the key is opened; ErrRejected; ErrReply; and the errors of Key, of
// the signer and of the connection.
func (c *Client) Token(ctx context.Context, ch Challenge, req *http.Request) (Token, error) {
	r, err := describeRequest(req)
	if err != nil {
		return Token{}, &Error{Op: "read challenge", Err: err}
	}
	want, err := c.newTokenRequest(ctx, ch, r)
	if err != nil {
		return Token{}, err
	}
	t, _, err := c.token(ctx, r, want)
	return t, err
}

// Reject tells c that a server refused t. Token does not return t again. A Transport
// does this by itself.
func (c *Client) Reject(t Token) { c.reject(context.Background(), t) }

func (c *Client) reject(ctx context.Context, t Token) {
	if t.issued == nil {
		return
	}
	e := t.request.event(t.keyID)
	e.Expires = t.Expires()
	c.tell(ctx, rejected, e)
	c.memory().dropToken(t)
}

// token also reports whether the token is from an exchange that r waited for.
func (c *Client) token(ctx context.Context, r callerRequest, want *tokenRequest) (t Token, fresh bool, err error) {
	key, id, err := c.openKey(ctx, r, want)
	if err != nil {
		return Token{}, false, err
	}
	cacheKey := tokenKey{want.id, id.fingerprint}
	cached, now := c.memory().token(cacheKey), c.now()
	usable := cached.usableAt(now)
	if usable && (!cached.ageingAt(now) || !cached.renewed.CompareAndSwap(false, true)) {
		return cached, false, nil
	}
	x := &exchange{client: c, want: want, key: key, keyID: id, userAgent: r.userAgent}
	if usable {
		c.flights.renew(ctx, cacheKey, x.run)
		return cached, false, nil
	}
	err = ctx.Err()
	if err == nil {
		t, err = c.flights.wait(ctx, cacheKey, x.run)
	}
	if err != nil {
		return Token{}, false, c.failure(want, id, err)
	}
	return t, true, nil
}

// openKey passes the gate and tells about the key.
func (c *Client) openKey(ctx context.Context, r callerRequest, want *tokenRequest) (signer.Signer, keyID, error) {
	key, err := r.openKey(ctx, c.Key, c.allows(want.realmText))
	if err != nil {
		e := c.failure(want, keyID{}, &Error{Op: "get key", Err: err})
		if !errors.Is(err, ErrRealm) { // a redirect was refused, not a key
			event := want.event(keyID{})
			event.Err = e
			c.tell(ctx, keyFailed, event)
		}
		return nil, keyID{}, e
	}
	fingerprint, previous := c.memory().swapKey(r.origin, key.PublicKey())
	id := keyID{fingerprint, referenceOf(key)}
	if previous != fingerprint {
		c.tellOfKey(ctx, want, id, previous)
	}
	return key, id, nil
}

func (c *Client) tellOfKey(ctx context.Context, want *tokenRequest, id keyID, previous string) {
	event := want.event(id)
	if previous == "" {
		c.tell(ctx, keyOpened, event)
		return
	}
	event.Previous = previous
	c.tell(ctx, keyChanged, event)
}

// keyID is how errors and traces name a key.
type keyID struct{ fingerprint, ref string }

// referenceOf returns the reference of a key that signer.Mux opened, or "".
func referenceOf(s signer.Signer) string {
	if named, ok := s.(fmt.Stringer); ok {
		return named.String()
	}
	return ""
}

// failure returns err as an *Error about want.
func (c *Client) failure(want *tokenRequest, id keyID, err error) *Error {
	e, ok := err.(*Error)
	if !ok {
		e = &Error{Op: "get token", Err: err}
	}
	if e.Registry != "" {
		return e // another caller of the same exchange may have it too
	}
	e.Registry, e.Realm, e.Scope, e.tolerated = want.registry.String(), want.realmText, want.scope, want.tolerated
	e.Key, e.Ref = id.fingerprint, id.ref
	return c.clean(e)
}

func (c *Client) memory() *cache {
	c.setUp()
	return &c.cache
}

// clientFor returns the client for requests to realm. It follows no redirect, because
// the policy has not allowed the target. The error is ErrRealm.
func (c *Client) clientFor(realm *url.URL) (*http.Client, error) {
	c.setUp()
	o, err := OriginOf(realm)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRealm, err)
	}
	h := *c.http
	h.Transport, err = c.toRealms.route(orDefault(h.Transport), o)
	return &h, err
}

func (c *Client) setUp() {
	c.once.Do(func() {
		c.cache.limit, c.cache.now = cmp.Or(c.CacheBytes, defaultCacheBytes), c.now
		h := http.Client{}
		if c.HTTP != nil {
			h = *c.HTTP
		} else if c.Base != nil {
			h.Transport = c.Base
		} else if t := limitedTransport(); t != nil {
			h.Transport, c.toRealms.own = t, t
		}
		h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.http = &h
	})
}

// limitedTransport returns a copy of http.DefaultTransport with a limit for the header
// of a reply, or nil if a program has replaced the default by another type.
func limitedTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil
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

// renewalTimeout bounds an exchange in the background.
const renewalTimeout = 5 * time.Minute

// A tokenFunc gets a token from a token endpoint.
type tokenFunc func(context.Context) (Token, error)

// flights share an exchange among all callers that need the same token. The zero
// value is ready.
type flights struct {
	mu      sync.Mutex
	running map[tokenKey]*flight
}

// A flight is one running exchange.
type flight struct {
	done       chan struct{} // closed after token and err are set
	token      Token
	err        error
	cancel     context.CancelFunc
	background bool
	callers    int // that wait; guarded by flights.mu
}

// wait returns the result of the running exchange for key, or of a new one. Each
// caller leaves when its own ctx ends. The exchange, and with it a prompt, ends
// with the last caller that waits.
func (s *flights) wait(ctx context.Context, key tokenKey, run tokenFunc) (Token, error) {
	for {
		f := s.join(ctx, key, run)
		select {
		case <-f.done:
			if f.background && errors.Is(f.err, signer.ErrLocked) {
				continue // it was not allowed to prompt; an exchange with callers is
			}
			return f.token, f.err
		case <-ctx.Done():
			s.leave(key, f)
			return Token{}, ctx.Err()
		}
	}
}

// renew starts an exchange for key in the background, unless one is running.
// Nobody waits for it, so it never prompts.
func (s *flights) renew(ctx context.Context, key tokenKey, run tokenFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[key] != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewalTimeout)
	s.start(signer.WithoutPrompt(ctx), key, &flight{cancel: cancel, background: true}, run)
}

func (s *flights) join(ctx context.Context, key tokenKey, run tokenFunc) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.running[key]
	if f == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{cancel: cancel}
		s.start(ctx, key, f, run)
	}
	f.callers++
	return f
}

// start runs f. The caller holds s.mu. A panic or a Goexit of a Signer becomes an error
// (see signer.Await): nobody could recover it, and the callers would wait for ever.
func (s *flights) start(ctx context.Context, key tokenKey, f *flight, run tokenFunc) {
	f.done = make(chan struct{})
	if s.running == nil {
		s.running = map[tokenKey]*flight{}
	}
	s.running[key] = f
	go func() {
		defer f.cancel()
		f.token, f.err = signer.Await(ctx, func() (Token, error) { return run(ctx) })
		s.mu.Lock()
		s.remove(key, f)
		s.mu.Unlock()
		close(f.done)
	}()
}

func (s *flights) leave(key tokenKey, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.callers--; f.callers == 0 && !f.background {
		f.cancel()
		s.remove(key, f) // the next caller starts anew
	}
}

// remove forgets f. The caller holds s.mu.
func (s *flights) remove(key tokenKey, f *flight) {
	if s.running[key] == f {
		delete(s.running, key)
	}
}
