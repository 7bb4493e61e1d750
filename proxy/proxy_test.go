package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

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

// TestRequestIsClean wants the client's login and site to stay on this machine, and the
// server's login to stay there.
func TestRequestIsClean(t *testing.T) {
	var seen http.Header
	var host string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, host = r.Header, r.Host
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	resp := f.want("GET", "/api/tags", nil, func(req *http.Request) {
		for _, name := range []string{"Cookie", "Forwarded", "X-Forwarded-For", "X-Forwarded-User", "Proxy-Authorization", "Referer", "X_Forwarded_User", "X-HTTP-Method-Override"} {
			req.Header.Set(name, "foreign")
		}
		req.Header.Set("Origin", f.url)
		if proxy.KnowsUsers {
			req.Header.Set("Authorization", "Bearer foreign")
		}
	}, 403, "")
	for name := range seen {
		if name != "Accept-Encoding" && name != "User-Agent" {
			t.Errorf("the server got %s: %q", name, seen[name])
		}
	}
	if want := strings.TrimPrefix(server.URL, "http://"); host != want {
		t.Errorf("the server got Host %q, want %q", host, want)
	}
	for _, name := range []string{"Set-Cookie", "Strict-Transport-Security", "Www-Authenticate"} {
		if got := resp.Header.Get(name); got != "" {
			t.Errorf("the client got %s: %s", name, got)
		}
	}
}

// TestForeignRequests is the list of requests that a page of another site, or a client
// that takes the proxy for another kind of proxy, may send.
func TestForeignRequests(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	p.AllowOrigins = []string{"vscode-webview://abc"}
	f := start(t, p)
	header := func(name, value string) func(*http.Request) {
		return func(req *http.Request) { req.Header.Set(name, value) }
	}
	host := strings.TrimPrefix(f.url, "http://")
	_, port, _ := net.SplitHostPort(host)
	for _, c := range []struct {
		name   string
		method string
		path   string
		edit   func(*http.Request)
		status int
	}{
		{"rebinding", "GET", "/v2/", func(req *http.Request) { req.Host = "evil.example:" + port }, 421},
		{"another port", "GET", "/v2/", func(req *http.Request) { req.Host = "127.0.0.1:1" }, 421},
		{"no port", "GET", "/v2/", func(req *http.Request) { req.Host = "127.0.0.1" }, 421},
		{"other loopback address", "GET", "/v2/", func(req *http.Request) { req.Host = "127.0.0.2:" + port }, 421},
		{"foreign origin", "GET", "/v2/", header("Origin", "https://evil.example"), 403},
		{"no origin", "POST", "/api/chat", header("Origin", "null"), 403},
		{"origin of another port", "GET", "/v2/", header("Origin", "http://127.0.0.1:1"), 403},
		{"two origins", "GET", "/v2/", func(req *http.Request) { req.Header["Origin"] = []string{f.url, "https://evil.example"} }, 403},
		{"cross-site without an origin", "GET", "/v2/", header("Sec-Fetch-Site", "cross-site"), 403},
		{"same-site", "GET", "/v2/", header("Sec-Fetch-Site", "same-site"), 403},
		{"preflight of a foreign page", "OPTIONS", "/api/chat", func(req *http.Request) {
			req.Header.Set("Origin", "https://evil.example")
			req.Header.Set("Access-Control-Request-Method", "POST")
		}, 403},
		{"upgrade", "GET", "/v2/", func(req *http.Request) {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "websocket")
		}, 400},
		{"two upgrades", "GET", "/v2/", func(req *http.Request) { req.Header["Upgrade"] = []string{"", "websocket"} }, 400},
		{"trace", "TRACE", "/v2/", nil, 405},
		{"connect", "CONNECT", "/v2/", nil, 405},
		{"options", "OPTIONS", "/v2/", nil, 405},
		{"escaped path", "GET", "/api%2Ftags", nil, 400},
		{"escaped dot", "GET", "/v2/%2e%2e/x", nil, 400},
		{"dot segment", "GET", "/v2/../token", nil, 400},
		{"empty segment", "GET", "/v2//token", nil, 400},
		{"parameter", "GET", "/v2/;x", nil, 400},
		{"another path", "GET", "/token", nil, 404},
		{"push", "POST", "/v2/a/b/blobs/uploads/", nil, 403},
		{"delete", "DELETE", "/v2/a/b/manifests/latest", nil, 403},
		{"delete of a model", "DELETE", "/api/delete", nil, 403},
		{"copy of a model", "POST", "/api/copy", nil, 403},
		{"unknown endpoint", "POST", "/api/new", nil, 403},
		{"unknown endpoint of /v1/", "POST", "/v1/files", nil, 403},
		{"blob of a model", "POST", "/api/blobs/sha256:0", nil, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := *f
			f.T = t
			f.want(c.method, c.path, nil, c.edit, c.status, `"`)
		})
	}
	if s := r.Stats(); s.Challenges != 0 || s.Exchanges != 0 {
		t.Errorf("requests reached the registry: %+v", s)
	}
}

// TestRawRequests sends requests that net/http's client does not.
func TestRawRequests(t *testing.T) {
	var paths []string
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.Method+" "+r.RequestURI+" "+string(body))
	}))
	defer server.Close()
	p := proxyTo(t, server.URL)
	f := start(t, p)
	host := strings.TrimPrefix(f.url, "http://")
	auth := ""
	if p.Token != "" {
		auth = "Authorization: Bearer " + p.Token + "\r\n"
	}
	for name, c := range map[string]struct{ request, status string }{
		"absolute form":  {"GET http://" + host + "/api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"another server": {"GET http://evil.example/api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "4"},
		"two hosts":      {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\nHost: evil.example\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"no host":        {"GET /api/tags HTTP/1.0\r\n" + auth + "\r\n", "421"},
		"large header":   {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "431"},
		"length twice":   {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length: 2\r\nContent-Length: 40\r\nConnection: close\r\n\r\nabGET /api/ps HTTP/1.1\r\n\r\n", "400"},
		"unknown coding": {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Transfer-Encoding: x, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", "501"},
		"white space":    {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length : 2\r\nConnection: close\r\n\r\nab", "400"},
		"chunk and length": {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length: 50\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
			"2\r\nab\r\n0\r\n\r\nGET /api/ps HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "200"},
	} {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, c.request)
		reply, _ := io.ReadAll(conn)
		conn.Close()
		reply = bytes.TrimPrefix(reply, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
		if !strings.HasPrefix(string(reply), "HTTP/1.1 "+c.status) && !strings.HasPrefix(string(reply), "HTTP/1.0 "+c.status) {
			t.Errorf("%s: %.200s, want status %s", name, reply, c.status)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(paths) != 1 || paths[0] != "POST /api/chat ab" {
		t.Errorf("the server got %q, want the chunked request only", paths)
	}
}

// TestTokenEndpoint wants no token in a reply, whether the proxy knows the realm already
// or learns it from this very request.
func TestTokenEndpoint(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	digests := r.AddImage("library/demo", "latest", []byte("a layer"))
	f := start(t, p)
	realm, err := url.Parse(r.Realm())
	if err != nil {
		t.Fatal(err)
	}
	challenged := fmt.Sprintf(`Bearer realm=%q,service="challengetest",scope="repository:library/demo:pull"`, r.Realm())
	r.Fail(challengetest.Tokens, 1, challengetest.Reply(401, "", "WWW-Authenticate", challenged))
	f.want("GET", realm.Path, nil, nil, 403, "token endpoint")
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 200, digests[0])
	f.want("GET", realm.Path, nil, nil, 403, "token endpoint")
	f.want("GET", realm.Path+"?service=challengetest", nil, nil, 403, "token endpoint")
	f.want("GET", "/v2/TOKEN", nil, nil, 403, "token endpoint")
	f.want("GET", realm.Path+"/", nil, nil, 403, "token endpoint")
}

// TestTokenEndpointLearnedMeanwhile wants no reply of the token endpoint if another request
// taught its path after this one was sent.
func TestTokenEndpointLearnedMeanwhile(t *testing.T) {
	held, arrived := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/token" && r.URL.RawQuery == "" {
			close(arrived)
			<-held
			fmt.Fprint(w, `{"token":"secret"}`)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/v2/token",service="x",scope="repository:a:pull"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.want("GET", "/v2/token", nil, nil, 403, "token endpoint")
	}()
	<-arrived
	f.send("GET", "/v2/a/manifests/latest", nil, nil)
	close(held)
	<-done
}

// TestSwitchedProtocol wants no connection to the server to be left, if it changes to
// another protocol without a reason.
func TestSwitchedProtocol(t *testing.T) {
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // if the proxy keeps it
		_, err = io.Copy(io.Discard, conn)
		ended <- err
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	f.want("GET", "/v2/", nil, nil, 502, "another protocol")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

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

func TestUpload(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	p.AllowPush = true
	f := start(t, p)
	layer := bytes.Repeat([]byte("x"), 1<<20)
	sum := sha256.Sum256(layer)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	resp := f.want("POST", "/v2/library/new/blobs/uploads/", nil, nil, 202, "")
	location := resp.Header.Get("Location")
	if !strings.HasPrefix(location, f.url+"/v2/") {
		t.Fatalf("Location %q is not an address of the proxy", location)
	}
	r.RevokeAll()
	path := strings.TrimPrefix(location, f.url)
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	f.want("PUT", path+separator+"digest="+url.QueryEscape(digest), onlyReader{bytes.NewReader(layer)}, nil, 201, "")
	f.want("GET", "/v2/library/new/blobs/"+digest, nil, nil, 200, "xxx")
}

// TestFirstUpload is "curl -T" as the first request: its body cannot be sent again, so
// the proxy needs a token before.
func TestFirstUpload(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	p.AllowPush = true
	f := start(t, p)
	f.want("PATCH", "/v2/library/new/blobs/uploads/none", onlyReader{bytes.NewReader(make([]byte, 1<<20))}, nil, 404, "")
	if got := r.Last(challengetest.Resources); got.Method != "PATCH" || got.Header.Get("Authorization") == "" {
		t.Errorf("the last request to the registry is %s without a token", got.Method)
	}
}

// onlyReader hides the length of a body, so that it is sent in chunks.
type onlyReader struct{ io.Reader }

// TestLongRequestToAPI wants a body that is too long to be kept to be sent after the
// server has accepted the token.
func TestLongRequestToAPI(t *testing.T) {
	const size = 1 << 20
	r, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	realm := r.Realm()
	var got []int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="challengetest",scope="ollama:chat:call"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n, _ := io.Copy(io.Discard, req.Body)
		got = append(got, n)
	}))
	defer server.Close()
	p := proxyTo(t, server.URL)
	from, _ := challenge.ParseOrigin(server.URL)
	to, _ := challenge.ParseOrigin(r.URL)
	p.Client.Policy.Pairs = []challenge.RealmPair{{Registry: from, Realm: to}}
	f := start(t, p)
	for range 2 {
		f.want("POST", "/api/chat", onlyReader{bytes.NewReader(make([]byte, size))}, nil, 200, "")
	}
	if len(got) != 2 || got[0] != size || got[1] != size {
		t.Errorf("the server read %v bytes, want %d twice", got, size)
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

// TestStream wants each line of a reply before the server sends the next, and the
// trailer.
func TestStream(t *testing.T) {
	next := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Total")
		for i := range 3 {
			if i > 0 {
				<-next
			}
			fmt.Fprintf(w, "line %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("X-Total", "3")
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.url+"/api/chat", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("", "test")
	resp, err := noRedirects.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("line %d", i) {
			t.Fatalf("got %q, want line %d", lines.Text(), i)
		}
		if i < 2 {
			next <- struct{}{}
		}
	}
	if lines.Scan() || resp.Trailer.Get("X-Total") != "3" {
		t.Errorf("trailer %v, want X-Total: 3", resp.Trailer)
	}
}

// TestKeyFailures wants the reason in the form that the client shows.
func TestKeyFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{signer.WithHint(fmt.Errorf("%w: keychain login", signer.ErrLocked), signer.Hint{Do: "unlock the keychain"}), 503},
		{signer.ErrNotFound, 503},
		{signer.ErrUnavailable, 503},
		{signer.ErrDenied, 403},
		{errors.New("broken"), 503},
	} {
		r, p := startRegistry(t, challengetest.Config{})
		r.AddImage("library/demo", "latest", []byte("a layer"))
		opened := 0
		p.Sign = true
		p.Client = &challenge.Client{Key: func(context.Context, challenge.Origin) (signer.Signer, error) {
			opened++
			return nil, c.err
		}}
		f := start(t, p)
		f.want("GET", "/v2/library/demo/tags/none;", nil, nil, 400, "")
		if opened != 0 {
			t.Error("the key was opened before a request needed it")
		}
		text := c.err.Error()
		if hint, ok := signer.HintOf(c.err); ok {
			text += ": " + hint.Do
		}
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, `{"errors":[{"code":"`)
		f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, c.status, text)
		f.want("POST", "/api/me", nil, nil, c.status, `{"error":"`)
	}
}

func TestRejectedKey(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{Grant: func(ssh.PublicKey, string) bool { return false }})
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 403, `"code":"DENIED"`)
}

func TestUpstreamGone(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	r.Close()
	f := start(t, p)
	f.want("GET", "/v2/library/demo/manifests/latest", nil, nil, 502, "connection refused")
}

// TestLinks wants clients to stay on the proxy, and to leave it for other servers.
func TestLinks(t *testing.T) {
	server := httptest.NewServer(nil)
	defer server.Close()
	other := "http://cdn.example/v2/x?signature=1"
	location := ""
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/base/") {
			t.Errorf("the server got the path %s", r.URL.Path)
		}
		w.Header().Set("Location", location)
		w.Header().Add("Link", `</base/v2/x/tags/list?last=b&n=2>; rel="next", <`+other+`>; rel="other"`)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	f := start(t, proxyTo(t, server.URL+"/base"))
	for from, want := range map[string]string{
		server.URL + "/base/v2/x/blobs/uploads/1?a=b": f.url + "/v2/x/blobs/uploads/1?a=b",
		"/base/v2/x/1": f.url + "/v2/x/1",
		strings.Replace(server.URL, "http://", "HTTP://", 1) + "/base/v2/x": f.url + "/v2/x",
		server.URL + "/elsewhere":                                   server.URL + "/elsewhere",
		"http://evil.example/base/v2/x?a=" + server.URL:             "http://evil.example/base/v2/x?a=" + server.URL,
		strings.Replace(server.URL, "//", "//x@", 1) + "/base/v2/x": f.url + "/v2/x",
		other: other,
	} {
		location = from
		resp := f.want("GET", "/v2/x/tags/list", nil, nil, 307, "")
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("Location %s became %s, want %s", from, got, want)
		}
		if got, want := resp.Header.Get("Link"), "<"+f.url+"/v2/x/tags/list?last=b&n=2>; rel=\"next\", <"+other+">; rel=\"other\""; got != want {
			t.Errorf("Link is %s, want %s", got, want)
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

func TestToken(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	p.Token, p.Sign = "secret", true
	f := start(t, p)
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.Header.Del("Authorization") }, 401, "token")
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.SetBasicAuth("x", "wrong") }, 401, "token")
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.SetBasicAuth("x", "secret") }, 200, "")
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.Header.Set("Authorization", "bearer secret") }, 200, "")
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

func (everyAddress) Close() error   { return nil }
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

// TestNothingIsLeft ends clients, servers and the proxy in the middle of a stream.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, end := range []string{"client", "server", "proxy"} {
		held := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "line")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}))
		p := proxyTo(t, server.URL)
		base := &http.Transport{}
		p.Client.Base = base
		f := start(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", f.url+"/api/chat", strings.NewReader("{}"))
		req.SetBasicAuth("", "test")
		resp, err := noRedirects.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = bufio.NewReader(resp.Body).ReadString('\n')
		switch end {
		case "client":
			cancel()
		case "server":
			server.CloseClientConnections()
		case "proxy":
			cancel()
			f.stop()
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		cancel()
		f.stop()
		close(held)
		server.Close()
		base.CloseIdleConnections()
	}
	for range 1_000_000 { // those that are ending need a moment
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}
