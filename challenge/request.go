package challenge

import (
	"fmt"
	"net/http"
	"slices"
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
	secrets := func() []string { return secretsOf(out) }
	resp.Request = withSecrets(req, resp, secrets)
	cleanLocation(resp, secrets)
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
