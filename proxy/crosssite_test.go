package proxy_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

func TestAllowedOriginIsOrigin(t *testing.T) {
	for _, site := range []string{"null", "*", "", "http://localhost:3000/", "localhost:3000", "http://LOCALHOST"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := proxyTo(t, "https://registry.example.com")
		p.AllowOrigins = []string{site}
		if err := p.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "allowed origin") {
			t.Errorf("%q: got %v, want a refusal", site, err)
		}
	}
}

func TestAllowedOrigin(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	const site = "vscode-webview://abc"
	p.AllowOrigins, p.Sign = []string{site}, true
	f := start(t, p)
	resp := f.want("OPTIONS", "/api/chat", nil, func(req *http.Request) {
		req.Header.Set("Origin", site)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "content-type")
		req.Header.Set("Access-Control-Request-Private-Network", "true")
		req.Header.Del("Authorization")
	}, 204, "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": site, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "content-type",
		"Access-Control-Allow-Private-Network": "true", "Access-Control-Allow-Credentials": "", "Vary": "Origin",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("the preflight is answered with %s: %q, want %q", name, got, want)
		}
	}
	resp = f.want("POST", "/api/me", nil, func(req *http.Request) { req.Header.Set("Origin", site) }, 200, "")
	if resp.Header.Get("Access-Control-Allow-Origin") != site || resp.Header.Get("Access-Control-Expose-Headers") != "*" {
		t.Errorf("the page may not read the reply: %v", resp.Header)
	}
	for _, path := range []string{"/v2/", "/v2/none;"} { // a browser may keep it, and give it to the page of the site
		if resp, _ := f.send("GET", path, nil, nil); resp.Header.Get("Vary") != "Origin" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s without an origin: %v", path, resp.Header)
		}
	}
}

// TestReplyIsNoPage wants HTML of the server not to run as a page of the proxy, which may
// use it.
func TestReplyIsNoPage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src *")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, "<script>fetch('/api/chat', {method: 'POST'})</script>")
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	resp := f.want("GET", "/v2/a/blobs/sha256:0", nil, nil, 200, "<script>")
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
