package proxy_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

func TestPull(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	digests := r.AddImage("library/demo", "latest", []byte("a layer"))
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 200, digests[0])
	f.want("GET", "/v2/library/demo/blobs/"+digests[0], nil, func(req *http.Request) { req.Header.Set("Range", "bytes=2-6") }, 206, "layer")
	f.want("HEAD", "/v2/library/demo/manifests/latest", nil, nil, 200, "")
	if got := f.log.String(); !strings.Contains(got, "msg=signed purpose=ollama.registry scope=repository:library/demo:pull key=SHA256:") {
		t.Errorf("the log does not tell the signature: %s", got)
	}
	if n := r.Stats().Exchanges; n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

// TestSign wants the requests to Ollama's API signed, and no others.
func TestSign(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	p.Sign = true
	f := start(t, p)
	f.want("POST", "/api/me", strings.NewReader("{}"), nil, 200, `"SHA256:`)
	if got := f.log.String(); !strings.Contains(got, "purpose=ollama.api method=POST path=/api/me") {
		t.Errorf("the log does not tell the signature: %s", got)
	}
}

// TestAPIWithoutSign wants no signature where only tokens are allowed, because a signature
// of Ollama's API names no server.
func TestAPIWithoutSign(t *testing.T) {
	sent := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		sent <- req.Header.Get("Authorization") + req.URL.RawQuery
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	f.want("GET", "/api/tags", nil, nil, 200, "")
	if got := <-sent; got != "" {
		t.Errorf("the server got %q", got)
	}
	if log := f.log.String(); strings.Contains(log, "signed") {
		t.Errorf("the log tells of a signature: %s", log)
	}
}

// TestLongUserAgent wants the log to have the start of a long name of a client only.
func TestLongUserAgent(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	f := start(t, p)
	f.want("DELETE", "/v2/library/x/manifests/y", nil, func(req *http.Request) { req.Header.Set("User-Agent", strings.Repeat("x", 5000)) }, 403, "")
	if log := f.log.String(); !strings.Contains(log, strings.Repeat("x", 100)) || strings.Contains(log, strings.Repeat("x", 101)) {
		t.Errorf("the log has %d bytes", len(log))
	}
}

func TestServeSocket(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	p.Sign = true
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("no Unix socket on this system: %v", err)
	}
	f := serve(t, p, l, "http://localhost")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/me", nil)
	req.SetBasicAuth("", "test")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

func TestServeListensOnLoopbackOnly(t *testing.T) {
	p := proxyTo(t, "https://registry.example.com")
	if err := p.Serve(t.Context(), everyAddress{}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("got %v, want a refusal", err)
	}
}

type everyAddress struct{ net.Listener }

func (everyAddress) Close() error { return nil }

func (everyAddress) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 80} }

func TestSetUp(t *testing.T) {
	for upstream, want := range map[string]string{
		"ftp://x.example":        "scheme",
		"https://a:b@x.example":  "user name",
		"https://x.example/?a=b": "query",
		"http://x.example":       "plain http",
	} {
		p := proxyTo(t, upstream)
		p.Sign = true
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", upstream, err, want)
		}
	}
}

// TestHandlerWithoutServe wants a proxy that another server runs to refuse: it does not know
// the user of the client.
func TestHandlerWithoutServe(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	log := &lockedBuffer{}
	p.Log = slog.New(slog.NewTextHandler(log, nil))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/", nil))
	if w.Code != http.StatusForbidden || !strings.Contains(log.String(), "refused") {
		t.Errorf("status %d, log %q", w.Code, log)
	}
}
