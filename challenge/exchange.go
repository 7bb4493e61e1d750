package challenge

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v7"

	"github.com/countersign/countersign/internal/retryafter"
	"github.com/countersign/countersign/signer"
)

const (
	maxTries = 4

	// maxWait is how long a server may make an exchange wait for its next try. If the
	// server wants more, the exchange fails and tells it to the caller.
	maxWait = time.Minute

	// requestTimeout bounds each request to a realm, so that a realm that hangs does
	// not delay the callers for long.
	requestTimeout = 30 * time.Second

	// maxReply bounds the bytes that are read of a token endpoint's reply.
	maxReply = 128 << 10

	// minSkew is how far two clocks must differ before that can be the reason why a
	// ts is refused; Ollama's registry allows a few minutes.
	minSkew = 30 * time.Second

	// maxCorrection is how far from this machine's clock a signed ts may be. Without a
	// limit a server could collect signatures for any time that it likes.
	maxCorrection = 24 * time.Hour
)

// An exchange turns signatures of one key into one token.
type exchange struct {
	client    *Client
	want      *tokenRequest
	key       signer.Signer
	keyID     keyID
	userAgent string
	ahead     time.Duration // of the server's clock, compared with ours
	requests  int           // sent so far
}

// run tries until a try brings a token, or an error that another try would bring too.
// Each request has a signature of its own, so that no nonce comes twice. The error is of
// type *Error.
func (x *exchange) run(ctx context.Context) (Token, error) {
	t, err := backoff.Retry(ctx, x.tries(ctx), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0))
	if err == nil {
		x.client.memory().putToken(t)
		return t, nil
	}
	if e := (*Error)(nil); errors.As(err, &e) { // the error of the last try
		e.Tries = x.requests
		err = e
	}
	return Token{}, x.client.failure(x.want, x.keyID, err)
}

// tries returns a function that makes the next try. Its error decides whether another
// try follows.
func (x *exchange) tries(ctx context.Context) func() (Token, error) {
	n := 0
	return func() (Token, error) {
		n++
		event := x.want.event(x.keyID)
		event.Try = n
		x.client.tell(ctx, exchanging, event)
		start := x.client.now()
		t, e := x.try(ctx)
		event.Took, event.Expires = x.client.now().Sub(start), t.Expires()
		if e == nil {
			x.client.tell(ctx, exchanged, event)
			return t, nil
		}
		event.Err = x.client.clean(e)
		x.client.tell(ctx, exchanged, event)
		switch {
		case !e.temporary || e.after > maxWait:
			return Token{}, backoff.Permanent(e)
		case e.after > 0:
			return Token{}, backoff.RetryAfter(e.after, e)
		}
		return Token{}, e
	}
}

// try makes one request, and a second one if the server may have refused the first
// because of this machine's clock.
func (x *exchange) try(ctx context.Context) (Token, *Error) {
	t, e := x.send(ctx)
	if e == nil || e.Skew == 0 || e.Skew.Abs() > maxCorrection || x.ahead != 0 {
		return t, e
	}
	x.ahead = e.Skew
	t, second := x.send(ctx)
	if second != nil {
		second.Skew = e.Skew
	}
	return t, second
}

// send makes one request, signed with a fresh nonce.
func (x *exchange) send(ctx context.Context) (Token, *Error) {
	target := tokenURL(x.want.realm, x.want.service, x.want.scope, x.client.now().Add(x.ahead), newNonce())
	auth, err := Sign(ctx, x.key, TokenText(target))
	if err != nil {
		return Token{}, &Error{Op: "sign", Err: err}
	}
	x.client.secrets.add(auth)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Token{}, &Error{Op: "get token", Err: err}
	}
	req.Header.Set("Authorization", auth)
	req.Header.Set("User-Agent", x.product())
	x.requests++
	client, err := x.client.clientFor(x.want.realm)
	if err != nil {
		return Token{}, &Error{Op: "check realm", Err: err}
	}
	resp, err := client.Do(req)
	if err != nil {
		distrusted := errors.As(err, new(*tls.CertificateVerificationError))
		return Token{}, &Error{Op: "get token", Err: foreignError(withoutURL(err), nil), temporary: !distrusted}
	}
	defer resp.Body.Close()
	return x.read(resp)
}

// read returns the token in resp, or the reason why there is none.
func (x *exchange) read(resp *http.Response) (Token, *Error) {
	e := &Error{Op: "get token", Status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		e.Err, e.temporary = fmt.Errorf("%w: it broke off: %w", ErrReply, foreignError(err, nil)), true
		return Token{}, e
	case len(body) > maxReply:
		e.Err = fmt.Errorf("%w: larger than %d bytes", ErrReply, maxReply)
		return Token{}, e
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		return Token{}, x.refusal(resp, body)
	}
	t, err := readToken(body, resp.Header, x.client.now())
	if err != nil {
		e.Err, e.Server = foreignError(err, nil), serverText(resp.StatusCode, body)
		return Token{}, e
	}
	x.client.secrets.add(t.secret())
	t.request, t.keyID = x.want, x.keyID
	return Token{t}, nil
}

// product returns the User-Agent of token requests. Some proxies refuse the default of
// net/http.
func (x *exchange) product() string {
	if ua := cmp.Or(x.client.UserAgent, x.userAgent); ua != "" {
		return ua
	}
	return programName(os.Args)
}

// programName returns the name of the program as a product in User-Agent (RFC 9110,
// section 10.1.5).
func programName(args []string) string {
	const fallback = "countersign"
	if len(args) == 0 {
		return fallback
	}
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	name = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r) {
			return r
		}
		return -1
	}, name)
	return cmp.Or(strings.Trim(name, "-._"), fallback)
}

// refusal tells why there was no token. Only a status that is about this key or
// scope is a rejection; others are the server's trouble.
func (x *exchange) refusal(resp *http.Response, body []byte) *Error {
	e := &Error{Op: "get token", Status: resp.StatusCode, Server: serverText(resp.StatusCode, body), Err: ErrReply}
	now := x.client.now()
	switch s := resp.StatusCode; {
	case s == http.StatusNotFound:
		e.Err = fmt.Errorf("%w: there is no token endpoint at this URL", ErrReply)
	case s >= 400 && s < 500 && isHTML(resp.Header, body):
		e.Err = fmt.Errorf("%w: an HTML page, perhaps from a proxy, and not the reply of a token endpoint", ErrReply)
	case s == http.StatusBadRequest, s == http.StatusUnauthorized, s == http.StatusForbidden:
		e.Err, e.Skew = rejection(resp.Header, body), skew(resp.Header, now)
		if e.Skew.Abs() > maxCorrection {
			e.Err = fmt.Errorf("%w: the server's clock shows %s and this machine's clock shows %s: no ts is signed that is more than %v from this machine's clock",
				ErrRejected, now.Add(e.Skew).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), maxCorrection)
		}
	case s == http.StatusTooManyRequests, s >= 500:
		e.temporary, e.after = true, retryafter.Delay(resp.Header, now)
	case s >= 300 && s < 400:
		e.Err = fmt.Errorf("%w: a token endpoint may not redirect", ErrReply)
	}
	return e
}

// skew returns how far the server's clock is ahead of ours, 0 if it is close.
func skew(header http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	if d := date.Sub(now).Round(time.Second); d.Abs() > minSkew {
		return d
	}
	return 0
}

// withoutURL removes the URL that http.Client adds: it holds a nonce and is long,
// and an Error names the realm already.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
