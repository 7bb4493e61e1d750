package challenge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/countersign/countersign/signer"
)

// A RequestSigner is an [http.RoundTripper] that signs each request to one of
// its Origins with [SignRequest], and passes all others through as they are, so
// that no other host is ever handed a signature, whatever redirects say. A
// request that has an Authorization field already is passed through too. It is
// safe for concurrent use.
type RequestSigner struct {
	// Key yields the signer for an origin: see Client.Key.
	Key func(ctx context.Context, origin *url.URL) (signer.Signer, error)

	// Origins are the servers that get signatures.
	Origins []Origin

	// Bearer puts "Bearer " in front of the signature, which some endpoints of
	// Ollama's API want and others refuse.
	Bearer bool

	Base http.RoundTripper // nil means http.DefaultTransport
}

// RoundTrip implements [http.RoundTripper].
func (s *RequestSigner) RoundTrip(req *http.Request) (*http.Response, error) {
	out, err := s.sign(req)
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	if s.Base != nil {
		return s.Base.RoundTrip(out)
	}
	return http.DefaultTransport.RoundTrip(out)
}

// sign returns a signed copy of req, or req itself if it is not to be signed.
func (s *RequestSigner) sign(req *http.Request) (*http.Request, error) {
	origin, err := OriginOf(req.URL)
	if err != nil || !slices.Contains(s.Origins, origin) || req.Header.Get("Authorization") != "" {
		return req, nil // Base reports a malformed URL
	}
	if s.Key == nil {
		return nil, errors.New("RequestSigner.Key is nil: there is no key to sign with")
	}
	key, err := s.Key(req.Context(), origin.URL())
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
