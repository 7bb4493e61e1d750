package proxy_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

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

func TestToken(t *testing.T) {
	_, p := startRegistry(t, challengetest.Config{})
	p.Token, p.Sign = "secret", true
	f := start(t, p)
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.Header.Del("Authorization") }, 401, "token")
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.SetBasicAuth("x", "wrong") }, 401, "token")
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.SetBasicAuth("x", "secret") }, 200, "")
	f.want("POST", "/api/me", nil, func(req *http.Request) { req.Header.Set("Authorization", "bearer secret") }, 200, "")
}
