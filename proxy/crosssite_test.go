package proxy_test

import (
	"net"
	"net/http"
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
		req.Header.Del("Authorization")
	}, 204, "")
	if resp.Header.Get("Access-Control-Allow-Origin") != site || resp.Header.Get("Access-Control-Allow-Headers") != "content-type" {
		t.Errorf("the preflight is not answered: %v", resp.Header)
	}
	resp = f.want("POST", "/api/me", nil, func(req *http.Request) { req.Header.Set("Origin", site) }, 200, "")
	if resp.Header.Get("Access-Control-Allow-Origin") != site {
		t.Errorf("the page may not read the reply: %v", resp.Header)
	}
}
