package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// A logFile collects the log. It is safe for concurrent use.
type logFile struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// writeKey puts a new key at path, in one step, as a mounted secret changes.
func writeKey(t *testing.T, path string) signer.Signer {
	t.Helper()
	next := filepath.Join(t.TempDir(), "key")
	key, err := new(file.Backend).Generate(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	return key
}

// startService starts a service whose key is at the returned path, for a registry that
// knows all keys.
func startService(t *testing.T) (s *service, log *logFile, registry *challengetest.Registry, path string) {
	t.Helper()
	registry, err := challengetest.Start(challengetest.Config{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	registry.AddImage("demo", "latest", []byte("hello"))
	path = filepath.Join(t.TempDir(), "key")
	t.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	t.Setenv("COUNTERSIGN_KEY", "file:"+path)
	log = &logFile{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	client, err := newClient(logger)
	if err != nil {
		t.Fatal(err)
	}
	return &service{client: client, url: registry.URL + "/v2/demo/manifests/latest", every: time.Minute, log: logger}, log, registry, path
}

func health(s *service) int {
	w := httptest.NewRecorder()
	s.health(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	return w.Code
}

func TestDaemonRotatesItsKey(t *testing.T) {
	s, log, registry, path := startService(t)
	writeKey(t, path)
	s.look(t.Context())
	second := writeKey(t, path)
	registry.RevokeAll()
	s.look(t.Context())
	if s.err != nil || !strings.Contains(log.String(), "key changed") || !strings.Contains(log.String(), ssh.FingerprintSHA256(second.PublicKey())) {
		t.Errorf("%v\n%s", s.err, log)
	}
	if n := strings.Count(log.String(), "new manifest"); n != 1 {
		t.Errorf("%d new manifests, want 1\n%s", n, log)
	}
}

func TestDaemonHealth(t *testing.T) {
	s, log, registry, path := startService(t)
	if got := health(s); got != http.StatusServiceUnavailable {
		t.Errorf("before the first look: %d", got)
	}
	s.look(t.Context())
	if got := health(s); got != http.StatusServiceUnavailable || !strings.Contains(log.String(), "key not found") || !strings.Contains(log.String(), "remedy=") {
		t.Errorf("without a key: %d\n%s", got, log)
	}
	writeKey(t, path)
	s.look(t.Context())
	if got := health(s); got != http.StatusOK {
		t.Errorf("after a look: %d\n%s", got, log)
	}
	registry.Fail(challengetest.Resources, challengetest.Always, challengetest.Reply(http.StatusNotFound, ""))
	s.look(t.Context())
	if got := health(s); got != http.StatusOK {
		t.Errorf("after one failure: %d", got)
	}
	s.last = s.last.Add(-4 * s.every)
	if got := health(s); got != http.StatusServiceUnavailable {
		t.Errorf("after failures for four periods: %d", got)
	}
}

func TestDaemonStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	_, log, registry, path := startService(t)
	writeKey(t, path)
	hanging := make(chan struct{})
	registry.Fail(challengetest.Resources, challengetest.Always, challengetest.Hold(hanging, nil))
	ended := make(chan error)
	go func() {
		ended <- run(ctx, slog.New(slog.NewTextHandler(log, nil)), []string{"-listen", "127.0.0.1:0", registry.URL + "/v2/demo/manifests/latest"})
	}()
	<-hanging
	stop()
	if err := <-ended; err != nil || !strings.Contains(log.String(), "stopping") || strings.Contains(log.String(), "look failed") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestDaemonRefusesWrongCalls(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, args := range [][]string{{}, {"a", "b"}, {"-every", "0", "a"}, {"-listen", taken.Addr().String(), "a"}} {
		if err := run(t.Context(), slog.New(slog.NewTextHandler(io.Discard, nil)), args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// A tag answers every request with its digest.
type tag struct{ digest atomic.Value }

func (g *tag) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Docker-Content-Digest": {g.digest.Load().(string)}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody, Request: req}, nil
}

func TestDaemonLooksEveryPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, latest := &logFile{}, &tag{}
		latest.digest.Store("sha256:1")
		s := &service{client: &http.Client{Transport: latest}, url: "http://registry", every: time.Hour, log: slog.New(slog.NewTextHandler(log, nil))}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.run(ctx, silent{make(chan struct{})}) }()
		time.Sleep(90 * time.Minute)
		latest.digest.Store("sha256:2")
		time.Sleep(time.Hour)
		stop()
		if err := <-ended; err != nil || strings.Count(log.String(), "new manifest") != 2 {
			t.Errorf("%v\n%s", err, log)
		}
	})
}

// silent is a listener that nobody calls.
type silent struct{ closed chan struct{} }

func (s silent) Accept() (net.Conn, error) {
	<-s.closed
	return nil, net.ErrClosed
}

func (s silent) Close() error {
	close(s.closed)
	return nil
}

func (silent) Addr() net.Addr { return &net.TCPAddr{} }
