package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate"
	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/forward"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

// A front is a server before another one: a gate, or a plain reverse proxy.
type front struct {
	address string // host:port
	origin  string
	key     signer.Signer // that the gate knows
	handler http.Handler  // of a gate
}

// startGate starts a gate with an enrolled key before an Ollama server. It writes its
// audit lines to a file, as a daemon does.
func startGate(tb testing.TB, ollama string) front {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := front{address: l.Addr().String(), origin: "http://" + l.Addr().String()}
	_, f.key = newKey(tb)
	dir := tb.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	_, err = setup.Init(tb.Context(), setup.Options{
		Folder: dir, Listen: f.address, Origin: f.origin, Registry: ollama, Ollama: ollama, RootKey: "file:root.key", SigningKey: "file:token.key",
	}, backends.New().Mux(), time.Now())
	grants := []byte("[[grant]]\nnames = [\"*\"]\nrepositories = [\"library/*\"]\nactions = [\"pull\"]\nendpoints = [\"read\", \"chat\"]\n")
	err = errors.Join(err, os.WriteFile(at(setup.GrantsFile), grants, 0o600), authkeys.Append(at(setup.AuthorizedFile), f.key.PublicKey(), "bench"))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := config.Load(at(setup.ConfigFile))
	if err != nil {
		tb.Fatal(err)
	}
	c.Audit = at("audit.log")
	c.Limits.PerAddress, c.Limits.PerKey = 1_000_000, 1_000_000
	g, err := gate.New(c, gate.Options{Keys: backends.New(), Log: slog.New(slog.DiscardHandler), Decisions: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	f.handler = g.Handler()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	res, err := http.Get(f.origin) // the gate answers when it accepts requests that are signed from then on
	if err != nil {
		tb.Fatal(err)
	}
	res.Body.Close()
	return f
}

// startReverseProxy starts a plain httputil.ReverseProxy with the transport of the gate.
func startReverseProxy(tb testing.TB, upstream string) front {
	tb.Helper()
	to, err := url.Parse(upstream)
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: forward.NewTransport(), FlushInterval: -1,
	})
	tb.Cleanup(server.Close)
	_, key := newKey(tb)
	return front{address: server.Listener.Addr().String(), origin: server.URL, key: key}
}

// A wire is a connection of a client that does little else than write and read.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func (f front) dial(tb testing.TB) wire {
	tb.Helper()
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return wire{c, bufio.NewReaderSize(c, 1<<10)}
}

// send writes a request and reads the header of the reply. It returns the length of the
// body, or -1 if it comes in chunks.
func (w wire) send(request []byte) (length int, err error) {
	if _, err := w.Write(request); err != nil {
		return 0, err
	}
	length = -1
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		switch {
		case err != nil:
			return 0, err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return 0, errors.New(string(line))
		case len(line) == 2:
			return length, nil
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}

// exchange sends a request and reads the whole reply.
func (w wire) exchange(request []byte) error {
	length, err := w.send(request)
	if err != nil {
		return err
	}
	return w.rest(length)
}

// rest reads a body of a length, or in chunks if the length is negative.
func (w wire) rest(length int) error {
	if length >= 0 {
		_, err := w.in.Discard(length)
		return err
	}
	for { // chunks
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := w.in.Discard(int(size) + 2); err != nil || size == 0 {
			return err
		}
	}
}

// text returns a request as it is sent.
func (f front) text(method, target, authorization string) []byte {
	return []byte(method + " " + target + " HTTP/1.1\r\nHost: " + f.address + "\r\nAuthorization: " + authorization + "\r\n\r\n")
}

// signToken returns the target and the signature of a new token request.
func (f front) signToken(tb testing.TB) (target, authorization string) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	target = "/token?nonce=" + base64.RawURLEncoding.EncodeToString(nonce) + "&scope=" + url.QueryEscape(scope) +
		"&service=" + url.QueryEscape(f.address) + "&ts=" + strconv.FormatInt(time.Now().Unix(), 10)
	authorization, err := challenge.Sign(tb.Context(), f.key, challenge.TokenText(f.origin+target))
	if err != nil {
		tb.Fatal(err)
	}
	return target, authorization
}

// tokenText returns a token request as it is sent.
func (f front) tokenText(tb testing.TB) []byte {
	target, authorization := f.signToken(tb)
	return f.text(http.MethodGet, target, authorization)
}

// tokenRequest returns a token request as a handler gets it.
func (f front) tokenRequest(tb testing.TB) *http.Request {
	target, authorization := f.signToken(tb)
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host, r.RemoteAddr = f.address, "127.0.0.1:1"
	r.Header.Set("Authorization", authorization)
	return r
}

// A reply is a ResponseWriter that keeps nothing but the status.
type reply struct {
	header http.Header
	status int
}

func (r *reply) Header() http.Header         { return r.header }
func (r *reply) WriteHeader(status int)      { r.status = status }
func (r *reply) Write(p []byte) (int, error) { return len(p), nil }

// apiRequest returns a signed request to Ollama's API. It can be sent many times.
func (f front) apiRequest(tb testing.TB, method, path string) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, f.origin+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := challenge.SignRequest(tb.Context(), f.key, req); err != nil {
		tb.Fatal(err)
	}
	return req
}

// apiText returns such a request as it is sent.
func (f front) apiText(tb testing.TB, method, path string) []byte {
	tb.Helper()
	req := f.apiRequest(tb, method, path)
	return f.text(method, req.URL.RequestURI(), req.Header.Get("Authorization"))
}
