package challenge

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/signer"
)

const (
	// maxReply bounds what is read of a token endpoint's reply.
	maxReply = 128 << 10

	// maxSkew is how far two clocks may differ before that can be why a ts is
	// refused; Ollama's registry allows a few minutes.
	maxSkew = 30 * time.Second

	// emptyHash is the base64 of the lower-case hex text of SHA-256 of nothing, the
	// third field of what is signed (Ollama's server/auth.go signs the hash of the
	// request's body, which is empty).
	emptyHash = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
)

// An exchange turns signatures of one key into one token.
type exchange struct {
	http  *http.Client
	now   func() time.Time
	ask   *ask
	key   signer.Signer
	id    keyID
	ahead time.Duration // what to add to our clock to have the server's
	tries int           // requests so far
}

// attempt makes one request, and a second one if the first may have been
// refused because of this machine's clock.
func (x *exchange) attempt(ctx context.Context) (*issued, *Error) {
	t, err := x.request(ctx)
	if err == nil || err.Skew == 0 || x.ahead != 0 {
		return t, err
	}
	x.ahead = err.Skew
	t, second := x.request(ctx)
	if second != nil {
		second.Skew = err.Skew
	}
	return t, second
}

// request is signed with a fresh nonce.
func (x *exchange) request(ctx context.Context) (*issued, *Error) {
	target := tokenURL(x.ask.realm, x.ask.service, x.ask.scope, x.now().Add(x.ahead), newNonce())
	auth, err := Sign(ctx, x.key, []byte("GET,"+target+","+emptyHash))
	if err != nil {
		return nil, &Error{Op: "sign", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	x.tries++
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, &Error{Op: "get token", Err: err}
	}
	req.Header.Set("Authorization", auth)
	resp, err := x.http.Do(req)
	if err != nil {
		distrusted := errors.As(err, new(*tls.CertificateVerificationError))
		return nil, &Error{Op: "get token", Err: withoutURL(err), temporary: !distrusted}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, &Error{Op: "get token", Status: resp.StatusCode, Err: fmt.Errorf("%w: it broke off: %w", ErrReply, err), temporary: true}
	case len(body) > maxReply:
		return nil, &Error{Op: "get token", Status: resp.StatusCode, Err: fmt.Errorf("%w: larger than %d bytes", ErrReply, maxReply)}
	case resp.StatusCode != http.StatusOK:
		return nil, x.refusal(resp, body)
	}
	t, err := readToken(body, resp.Header, x.now())
	if err != nil {
		return nil, &Error{Op: "get token", Status: resp.StatusCode, Err: err}
	}
	t.ask, t.key = x.ask, x.id
	return t, nil
}

// refusal says why there was no token. Only a status that speaks of this key or
// scope is a rejection; others are the server's trouble.
func (x *exchange) refusal(resp *http.Response, body []byte) *Error {
	e := &Error{Op: "get token", Status: resp.StatusCode, Server: serverText(resp.StatusCode, body), Err: ErrReply}
	switch s := resp.StatusCode; {
	case s == http.StatusBadRequest, s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusNotFound:
		e.Err = ErrRejected
		e.Skew = skew(resp.Header, x.now())
	case s == http.StatusTooManyRequests, s >= 500:
		e.temporary = true
		e.after = retryAfter(resp.Header, x.now())
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
	if d := date.Sub(now).Round(time.Second); d.Abs() > maxSkew {
		return d
	}
	return 0
}

// tokenURL adds to the realm's own query what Ollama's server/auth.go adds. An
// absent service or scope is sent empty, as there.
func tokenURL(realm *url.URL, service, scope string, now time.Time, nonce string) string {
	query := realm.Query()
	query.Add("service", service)
	scopes := strings.Fields(scope)
	if len(scopes) == 0 {
		scopes = []string{""}
	}
	for _, s := range scopes {
		query.Add("scope", s)
	}
	query.Add("ts", strconv.FormatInt(now.Unix(), 10))
	query.Add("nonce", nonce)
	u := *realm
	u.RawQuery = query.Encode()
	return u.String()
}

func newNonce() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}

// withoutURL strips what http.Client adds: the URL holds a nonce and is long,
// and an Error names the realm already.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
