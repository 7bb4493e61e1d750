package challenge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/countersign/countersign/signer"
)

// A RequestSigner is an [http.RoundTripper] that signs each request to one of its
// Origins with [SignRequest]. It passes all other requests through as they are, so
// that no other server gets a signature, also after a redirect. A request that
// another origin redirected is not signed; if the server answers it with status 401,
// the error is ErrRealm and names that origin. A request that has an Authorization
// field already is passed through too. A RequestSigner is safe for concurrent use.
type RequestSigner struct {
	// Key returns the signer for an origin.
	Key KeyFunc

	// Origins are the servers that get signatures.
	Origins []Origin

	// Bearer puts "Bearer " in front of the signature. Some endpoints of Ollama's API
	// want it and others refuse it.
	Bearer bool

	Base http.RoundTripper // nil means http.DefaultTransport

	loopback loopback
}

// RoundTrip implements [http.RoundTripper].
func (s *RequestSigner) RoundTrip(req *http.Request) (*http.Response, error) {
	r, err := describeRequest(req)
	if err != nil || !slices.Contains(s.Origins, r.origin) || req.Header.Get("Authorization") != "" {
		return orDefault(s.Base).RoundTrip(req) // which reports a malformed URL
	}
	via, err := s.loopback.route(orDefault(s.Base), r.origin)
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	redirected := r.checkRedirects(s.allow)
	out := req
	if redirected == nil {
		if out, err = s.sign(req, r); err != nil {
			closeBody(req.Body)
			return nil, err
		}
	}
	resp, err := via.RoundTrip(out)
	if err != nil {
		return nil, foreignError(err, secretsOf(out))
	}
	if redirected != nil && resp.StatusCode == http.StatusUnauthorized {
		drain(resp)
		return nil, fmt.Errorf("request to %s was sent without a signature: %w", r.origin, redirected)
	}
	resp.Request = withSecrets(req, resp, func() []string { return secretsOf(out) })
	return resp, nil
}

// CloseIdleConnections closes the idle connections of Base: see
// [http.Client.CloseIdleConnections].
func (s *RequestSigner) CloseIdleConnections() {
	closeIdleConnections(orDefault(s.Base))
	s.loopback.closeIdleConnections()
}

// allow lets no other origin redirect a request that is signed.
func (s *RequestSigner) allow(Origin) error {
	return fmt.Errorf("%w: no other server may redirect a request that gets a signature", ErrRealm)
}

// sign returns a signed copy of req.
func (s *RequestSigner) sign(req *http.Request, r callerRequest) (*http.Request, error) {
	key, err := r.openKey(req.Context(), s.Key, s.allow)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	if err := SignRequest(req.Context(), key, out); err != nil {
		return nil, err
	}
	if s.Bearer {
		out.Header.Set("Authorization", "Bearer "+out.Header.Get("Authorization"))
	}
	return out, nil
}

// SignRequest signs req without waiting for a challenge, as Ollama's API wants
// it: ts, the time in Unix seconds, joins the query, which is then sorted by
// name; Authorization becomes the signature of "METHOD,<path>?<query>". Host,
// headers and body are not covered: send it over TLS to a host that you chose.
//
// Source: Ollama's server/cloud_proxy.go, signCloudProxyRequest.
func SignRequest(ctx context.Context, s signer.Signer, req *http.Request) error {
	return signRequest(ctx, s, req, time.Now())
}

func signRequest(ctx context.Context, s signer.Signer, req *http.Request, now time.Time) error {
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return err
	}
	query.Set("ts", strconv.FormatInt(now.Unix(), 10))
	u := *req.URL
	u.RawQuery = query.Encode()
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	auth, err := Sign(ctx, s, []byte(method+","+u.RequestURI()))
	if err != nil {
		return fmt.Errorf("signing the request to %s: %w", u.Host, err)
	}
	req.URL = &u
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Authorization", auth)
	return nil
}
