package proxy_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/proxy"
	"github.com/countersign/countersign/signer"
)

func newKey() signer.Signer {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	s, err := signer.New(key)
	if err != nil {
		panic(err)
	}
	return s
}

// A fixture is a running proxy.
type fixture struct {
	*testing.T
	url  string
	log  *lockedBuffer
	stop func()
}

// start runs p on a port of this machine.
func start(t *testing.T, p *proxy.Proxy) *fixture {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, p, l, "http://"+l.Addr().String())
}

func serve(t *testing.T, p *proxy.Proxy, l net.Listener, base string) *fixture {
	t.Helper()
	log := &lockedBuffer{}
	p.Log = slog.New(slog.NewTextHandler(log, nil))
	if !proxy.KnowsUsers && p.Token == "" {
		p.Token = "test"
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return &fixture{t, base, log, stop}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// send sends one request. edit may be nil.
func (f *fixture) send(method, path string, body io.Reader, edit func(*http.Request)) (*http.Response, string) {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, f.url+path, body)
	if err != nil {
		f.Fatal(err)
	}
	if !proxy.KnowsUsers {
		req.SetBasicAuth("", "test")
	}
	if edit != nil {
		edit(req)
	}
	resp, err := noRedirects.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp, string(data)
}

// want sends a request and checks the status and a part of the reply.
func (f *fixture) want(method, path string, body io.Reader, edit func(*http.Request), status int, part string) *http.Response {
	f.Helper()
	resp, got := f.send(method, path, body, edit)
	if resp.StatusCode != status || !strings.Contains(got, part) {
		f.Errorf("%s %s: %d %s, want %d and %q", method, path, resp.StatusCode, got, status, part)
	}
	return resp
}

var noRedirects = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func startRegistry(t *testing.T, c challengetest.Config) (*challengetest.Registry, *proxy.Proxy) {
	t.Helper()
	r, err := challengetest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, proxyTo(t, r.URL)
}

func proxyTo(t *testing.T, upstream string) *proxy.Proxy {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return &proxy.Proxy{Upstream: u, Client: &challenge.Client{Key: challenge.StaticKey(newKey())}}
}

// onlyReader hides the length of a body, so that it is sent in chunks.
type onlyReader struct{ io.Reader }
