package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A stubRegistry is the transport of a client and answers its requests itself, so
// that it can have any name. It verifies nothing and records where requests go.
type stubRegistry struct {
	realm    string // of its challenges; its tokens come from any /token
	redirect string // where requests with a token are sent, unless ""
	token    io.Reader

	mu        sync.Mutex
	went      []*http.Request // to anywhere but the registry
	exchanges int
}

const stubURL = "https://registry.test"

func (p *stubRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	home := (&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host}).String() == stubURL
	if !home {
		p.mu.Lock()
		p.went = append(p.went, req)
		p.mu.Unlock()
	}
	switch {
	case strings.HasSuffix(req.URL.Path, "/token"):
		p.mu.Lock()
		p.exchanges++
		p.mu.Unlock()
		if p.token != nil {
			return answer(req, http.StatusOK, p.token), nil
		}
		return answer(req, http.StatusOK, strings.NewReader(`{"token":"secret","expires_in":300}`)), nil
	case home && !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer s"):
		resp := answer(req, http.StatusUnauthorized, http.NoBody)
		resp.Header.Set("WWW-Authenticate", `Bearer realm="`+p.realm+`",service="test",scope="repository:`+repoOf(req.URL.Path)+`:pull"`)
		return resp, nil
	case home && p.redirect != "" && strings.Contains(req.URL.Path, repo):
		resp := answer(req, http.StatusTemporaryRedirect, http.NoBody)
		resp.Header.Set("Location", p.redirect)
		return resp, nil
	}
	return answer(req, http.StatusOK, http.NoBody), nil
}

func repoOf(path string) string {
	name := strings.TrimPrefix(path, "/v2/")
	name, _, _ = strings.Cut(name, "/manifests/")
	name, _, _ = strings.Cut(name, "/blobs/")
	return name
}

func answer(req *http.Request, status int, body io.Reader) *http.Response {
	const manifest = `{"schemaVersion":2}`
	h := http.Header{}
	h.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	h.Set("Content-Length", fmt.Sprint(len(manifest)))
	h.Set("Docker-Content-Digest", "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
	return &http.Response{
		Status: fmt.Sprint(status, " ", http.StatusText(status)), StatusCode: status, Header: h, ContentLength: int64(len(manifest)),
		Body: io.NopCloser(body), Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

func (p *stubRegistry) site(tb testing.TB) site {
	_, key := newKey(tb)
	return site{url: stubURL, realm: p.realm, base: p, key: key, layers: []layer{{"sha256:" + strings.Repeat("0", 64), 1}}}
}
