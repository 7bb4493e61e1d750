package challenge

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// A Transport is an [http.RoundTripper] that answers the Bearer challenges of the
// servers that it talks to. Its Client remembers the challenges of each origin, so that
// later requests carry their token from the start. A token goes to the origin that
// challenged and to no other, also after a redirect. A request that another origin
// redirected gets no token, unless the Client's Policy allows the realm for that origin
// too.
//
// A request that has an Authorization field already is passed through as it is. A
// request with a body that meets a challenge is sent again from GetBody; without
// GetBody it fails with ErrBody and nothing is sent twice.
//
// Errors are of type *[Error]; http.Client wraps them, [errors.As] finds them
// (unless http.Client.Timeout ended the request: give it a context instead). A
// response with status 401 is returned only if it holds no challenge that could be
// answered. A Transport is safe for concurrent use.
type Transport struct {
	Client *Client           // must be set
	Base   http.RoundTripper // nil means Client.Base
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.Client == nil {
		closeBody(req.Body)
		return nil, errors.New("challenge.Transport: the field Client is nil: nothing can answer a challenge")
	}
	r, err := describeRequest(req)
	if err != nil || req.Header.Get("Authorization") != "" {
		return t.base().RoundTrip(req)
	}
	via, err := t.Client.toRegistries.route(t.base(), r.origin)
	r.unsafe = err
	return (&roundTrip{via, t.Client, req, r, resourceOf(r.origin, req)}).do()
}

// CloseIdleConnections closes the idle connections of Base: see
// [http.Client.CloseIdleConnections].
func (t *Transport) CloseIdleConnections() {
	closeIdleConnections(t.base())
	if t.Client != nil {
		t.Client.toRegistries.closeIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil && t.Client != nil {
		return orDefault(t.Client.Base)
	}
	return orDefault(t.Base)
}

// A roundTrip is one request of a caller.
type roundTrip struct {
	via      http.RoundTripper
	client   *Client
	req      *http.Request
	caller   callerRequest
	resource resource
}

// do sends the request with the token that the origin will probably ask for. A token
// that the origin refuses is rejected, and a challenge is answered.
func (rt *roundTrip) do() (*http.Response, error) {
	token, fresh, err := rt.expectedToken()
	if err != nil {
		closeBody(rt.req.Body)
		return nil, err
	}
	resp, err := rt.send(rt.req.Body, token)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return rt.unauthorized(resp, token, fresh)
	case http.StatusBadRequest, http.StatusForbidden:
		if !fresh { // a token that has just been issued is good, and the request is refused
			rt.client.reject(rt.req.Context(), token)
		}
	}
	return resp, nil
}

// expectedToken returns a token for the challenge that the origin sent last time. It
// returns the zero Token if there is none. Then the origin sends its challenge now.
func (rt *roundTrip) expectedToken() (token Token, fresh bool, err error) {
	ctx := rt.req.Context()
	want := rt.client.memory().tokenRequest(rt.resource)
	if want == nil {
		return Token{}, false, nil
	}
	token, fresh, err = rt.client.token(ctx, rt.caller, want)
	switch {
	case err == nil:
		return token, fresh, nil
	case errors.Is(err, ErrRealm): // for the origin that redirected, not for this one
		return Token{}, false, nil
	case ctx.Err() == nil:
		rt.client.memory().dropTokenRequest(rt.resource)
	}
	if e := (*Error)(nil); errors.Is(err, ErrRejected) || errors.As(err, &e) && e.Status == http.StatusNotFound {
		return Token{}, false, nil
	}
	return Token{}, false, err
}

// unauthorized answers the challenge of resp, a 401.
func (rt *roundTrip) unauthorized(resp *http.Response, used Token, fresh bool) (*http.Response, error) {
	ch, err := Bearer(resp.Header)
	if errors.Is(err, ErrNoChallenge) {
		return rt.refusedWithoutChallenge(resp, used, fresh)
	}
	ctx := rt.req.Context()
	if err != nil {
		drain(resp)
		return nil, rt.client.refuse(ctx, ch, rt.caller, &Error{Op: "read challenge", Status: resp.StatusCode, Err: err})
	}
	want, err := rt.client.newTokenRequest(ctx, ch, rt.caller)
	if err != nil {
		drain(resp)
		return nil, err
	}
	rt.client.memory().putTokenRequest(rt.resource, want)
	if used.issued != nil && used.request.id == want.id {
		rt.client.reject(ctx, used)
		if fresh {
			return nil, rt.freshTokenRefused(resp, used)
		}
	}
	drain(resp)
	return rt.answer(want)
}

// refusedWithoutChallenge sends the request once more if the server may have refused
// it because its token is no longer valid.
func (rt *roundTrip) refusedWithoutChallenge(resp *http.Response, used Token, fresh bool) (*http.Response, error) {
	if used.issued == nil {
		return resp, nil
	}
	rt.client.reject(rt.req.Context(), used)
	switch {
	case fresh:
		return nil, rt.freshTokenRefused(resp, used)
	case !canReplay(rt.req):
		return resp, nil
	}
	drain(resp)
	return rt.answer(used.request)
}

// answer gets a token for want and sends the request once more.
func (rt *roundTrip) answer(want *tokenRequest) (*http.Response, error) {
	body, err := bodyAgain(rt.req)
	if err != nil {
		return nil, rt.client.failure(want, keyID{}, &Error{Op: "use token", Status: http.StatusUnauthorized, Err: err})
	}
	ctx := rt.req.Context()
	token, _, err := rt.client.token(ctx, rt.caller, want)
	if err != nil {
		closeBody(body)
		rt.client.memory().dropTokenRequest(rt.resource)
		return nil, err
	}
	resp, err := rt.send(body, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	rt.client.reject(ctx, token)
	rt.client.memory().dropTokenRequest(rt.resource)
	return nil, rt.freshTokenRefused(resp, token)
}

// freshTokenRefused is the error for a token that was just issued: another one would
// be refused too.
func (rt *roundTrip) freshTokenRefused(resp *http.Response, token Token) *Error {
	defer drain(resp)
	return rt.client.failure(token.request, token.keyID, &Error{
		Op: "use token", Status: resp.StatusCode, Server: ServerText(resp),
		Err: fmt.Errorf("%w: it does not accept the token that was just issued for this key", rejection(resp.Header, nil)),
	})
}

// send sends a copy of the request: a RoundTripper may not change it.
func (rt *roundTrip) send(body io.ReadCloser, token Token) (*http.Response, error) {
	out := *rt.req
	out.Body = body
	if token.issued != nil {
		out.Header = maps.Clone(rt.req.Header)
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header["Authorization"] = token.header()
	}
	resp, err := rt.via.RoundTrip(&out)
	if err != nil {
		return nil, foreignError(err, rt.secrets(token))
	}
	// http.Client and callers build on resp.Request, which has no token.
	secrets := func() []string { return rt.secrets(token) }
	resp.Request = withSecrets(rt.req, resp, secrets)
	cleanLocation(resp, secrets)
	return resp, nil
}

// secrets returns the tokens and signatures that must not be in text of the server.
func (rt *roundTrip) secrets(token Token) []string {
	return append(rt.client.secrets.all(), token.Value())
}

func canReplay(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// bodyAgain returns the body for a second request.
func bodyAgain(req *http.Request) (io.ReadCloser, error) {
	if !canReplay(req) {
		return nil, fmt.Errorf("%w: set Request.GetBody, or send a request without a body to this registry first", ErrBody)
	}
	if req.GetBody == nil {
		return req.Body, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	return body, nil
}

// orDefault returns base, or http.DefaultTransport if base is nil.
func orDefault(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		return http.DefaultTransport
	}
	return base
}

// closeIdleConnections passes a call of http.Client.CloseIdleConnections on to base.
func closeIdleConnections(base http.RoundTripper) {
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(body io.Closer) {
	if body != nil {
		body.Close()
	}
}

// drain reads the rest of a short body, so that the connection can be used again.
func drain(resp *http.Response) {
	const short = 4 << 10
	if resp.ContentLength >= 0 && resp.ContentLength <= short {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, short))
	}
	resp.Body.Close()
}
