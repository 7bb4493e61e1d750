package challenge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// A Transport is an [http.RoundTripper] that answers the Bearer challenges of
// the servers it talks to. It remembers what an origin asked for, so that later
// requests carry their token from the start. A token goes to the origin that
// challenged and to no other, whatever http.Client does with redirects.
//
// A request that has an Authorization field already is passed through as it is.
// One with a body that meets a challenge is sent again from GetBody; without it
// the request fails with ErrBody and nothing is sent twice.
//
// Errors are of type *[Error]; http.Client wraps them, [errors.As] finds them
// (unless http.Client.Timeout ended the request: give it a context instead). A
// response with status 401 is returned only if it holds no challenge that could
// be answered. A Transport is safe for concurrent use and must not be copied.
type Transport struct {
	Client *Client           // must be set
	Base   http.RoundTripper // nil means http.DefaultTransport

	known known
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	from, err := OriginOf(req.URL)
	if err != nil || req.Header.Get("Authorization") != "" {
		return t.base().RoundTrip(req)
	}
	p := placeOf(from, req)
	used, fresh, err := t.before(req.Context(), p)
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	resp, err := t.send(req, req.Body, used)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	ch, err := Bearer(resp.Header)
	if errors.Is(err, ErrNoChallenge) {
		t.reject(req.Context(), used)
		return resp, nil
	}
	if err != nil {
		drain(resp)
		return nil, &Error{Op: "read challenge", Registry: from.String(), Status: resp.StatusCode, Err: err}
	}
	a, err := t.Client.admit(ch, req.URL, firstRequest(req).URL)
	if err != nil {
		drain(resp)
		return nil, err
	}
	traceOf(req.Context()).challenged(a)
	t.known.learn(p, a)
	if used.issued != nil && a.need(used.key) == used.ask.need(used.key) {
		t.reject(req.Context(), used)
		if fresh {
			return nil, notTaken(resp, used)
		}
	}
	drain(resp)
	resp, err = t.answer(req, a)
	if err != nil && !errors.Is(err, ErrBody) {
		t.known.forget(p)
	}
	return resp, err
}

// before returns the token for what is going to be asked for, if that is known.
// If there is none to be had for it, the server will say what it wants now.
func (t *Transport) before(ctx context.Context, p place) (token Token, fresh bool, err error) {
	a := t.known.at(p)
	if a == nil {
		return Token{}, false, nil
	}
	token, fresh, err = t.Client.token(ctx, a)
	if err != nil && ctx.Err() == nil {
		t.known.forget(p)
	}
	if errors.Is(err, ErrRejected) {
		return Token{}, false, nil
	}
	return token, fresh, err
}

// answer gets a token for a and sends req once more.
func (t *Transport) answer(req *http.Request, a *ask) (*http.Response, error) {
	body, err := bodyAgain(req)
	if err != nil {
		return nil, a.fail(keyID{}, &Error{Op: "use token", Status: http.StatusUnauthorized, Err: err})
	}
	token, _, err := t.Client.token(req.Context(), a)
	if err != nil {
		closeBody(body)
		return nil, err
	}
	resp, err := t.send(req, body, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	t.reject(req.Context(), token)
	return nil, notTaken(resp, token)
}

// firstRequest returns the request that http.Client was given, before any
// redirect.
func firstRequest(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// notTaken says that a token was refused which the realm had just issued: no
// other would fare better.
func notTaken(resp *http.Response, token Token) *Error {
	defer drain(resp)
	return token.ask.fail(token.key, &Error{
		Op: "use token", Status: resp.StatusCode, Server: ServerText(resp),
		Err: fmt.Errorf("%w: it does not take the token that was just issued for this key", ErrRejected),
	})
}

func (t *Transport) reject(ctx context.Context, token Token) {
	if token.issued == nil {
		return
	}
	traceOf(ctx).rejected(token)
	t.Client.cache.drop(token)
}

// send leaves req as it is: a RoundTripper may not change it.
func (t *Transport) send(req *http.Request, body io.ReadCloser, token Token) (*http.Response, error) {
	out := *req
	out.Body = body
	if token.issued != nil {
		out.Header = maps.Clone(req.Header)
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header["Authorization"] = token.header()
	}
	resp, err := t.base().RoundTrip(&out)
	if resp != nil {
		resp.Request = req // the one without a token: http.Client and callers build on it
	}
	return resp, err
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

// bodyAgain returns the body for a second sending.
func bodyAgain(req *http.Request) (io.ReadCloser, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, nil
	}
	if req.GetBody == nil {
		return nil, fmt.Errorf("%w: set Request.GetBody, or send a request without a body to this registry first", ErrBody)
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	return body, nil
}

func closeBody(body io.Closer) {
	if body != nil {
		body.Close()
	}
}

// drain lets the connection be used again, if what is left is short.
func drain(resp *http.Response) {
	const short = 4 << 10
	if resp.ContentLength >= 0 && resp.ContentLength <= short {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	resp.Body.Close()
}
