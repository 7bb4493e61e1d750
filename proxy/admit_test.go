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

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge/challengetest"
)

// TestRule18_ForeignRequests is the list of requests that a page of another site, or a client
// that takes the proxy for another kind of proxy, may send.
func TestRule18_ForeignRequests(t *testing.T) {
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
		{"empty upgrade", "GET", "/v2/", header("Upgrade", ""), 400},
		{"trace", "TRACE", "/v2/", nil, 405},
		{"unknown method", "PROPFIND", "/v2/", nil, 405},
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
		{"host with a dot at the end", "GET", "/v2/", func(req *http.Request) { req.Host = "localhost.:" + port }, 421},
		{"host that contains the address", "GET", "/v2/", func(req *http.Request) { req.Host = "127.0.0.1.evil.example:" + port }, 421},
		{"number as host", "GET", "/v2/", func(req *http.Request) { req.Host = "2130706433:" + port }, 421},
		{"origin of the same host by another scheme", "GET", "/v2/", header("Origin", "https://"+host), 403},
		{"unknown site", "GET", "/v2/", header("Sec-Fetch-Site", "future"), 403},
		{"two sites", "GET", "/v2/", func(req *http.Request) { req.Header["Sec-Fetch-Site"] = []string{"none", "cross-site"} }, 403},
		{"backslash", "GET", "/v2/a%5c..%5ctoken", nil, 400},
		{"zero byte", "GET", "/v2/a%00", nil, 400},
		{"space", "GET", "/v2/a%20", nil, 400},
		{"letter outside ASCII", "GET", "/v2/to%E2%84%AAen", nil, 400},
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

// TestPipelinedRequests wants each request on a connection to be checked.
func TestPipelinedRequests(t *testing.T) {
	r, p := startRegistry(t, challengetest.Config{})
	f := start(t, p)
	host := strings.TrimPrefix(f.url, "http://")
	auth := ""
	if p.Token != "" {
		auth = "Authorization: Bearer " + p.Token + "\r\n"
	}
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, fields := range []string{"Host: " + host, "Host: evil.example", "Host: " + host + "\r\nConnection: close\r\nOrigin: https://evil.example"} {
		_, _ = io.WriteString(conn, "GET /v2/ HTTP/1.1\r\n"+auth+fields+"\r\n\r\n")
	}
	reply, _ := io.ReadAll(conn)
	var statuses []string
	for _, part := range strings.Split(string(reply), "HTTP/1.1 ")[1:] {
		statuses = append(statuses, part[:3])
	}
	if diff := cmp.Diff([]string{"200", "421", "403"}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s\n%s", diff, reply)
	}
	if n := r.Stats().Resources; n > 2 { // one with the challenge, one with the token
		t.Errorf("%d requests reached the registry", n)
	}
}

// TestRule18_RawRequests sends requests that net/http's client does not.
func TestRule18_RawRequests(t *testing.T) {
	var paths []string
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the proxy ended it
		}
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
		"absolute form":             {"GET http://" + host + "/api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"another server":            {"GET http://evil.example/api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "4"},
		"two hosts":                 {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\nHost: evil.example\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"no host":                   {"GET /api/tags HTTP/1.0\r\n" + auth + "\r\n", "421"},
		"large header":              {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "431"},
		"length twice":              {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length: 2\r\nContent-Length: 40\r\nConnection: close\r\n\r\nabGET /api/ps HTTP/1.1\r\n\r\n", "400"},
		"unknown coding":            {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Transfer-Encoding: x, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", "501"},
		"white space":               {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length : 2\r\nConnection: close\r\n\r\nab", "400"},
		"HTTP/2 without an upgrade": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "4"},
		"every path":                {"OPTIONS * HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"tunnel":                    {"CONNECT evil.example:443 HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "405"},
		"authority form":            {"GET evil.example:80 HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"two slashes":               {"GET //evil.example/api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"folded host":               {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\n evil.example\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"host with a path":          {"GET /api/tags HTTP/1.1\r\nHost: " + host + "/x\r\n" + auth + "Connection: close\r\n\r\n", "4"},
		"CR in a field":             {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\nX: a\rHost: evil.example\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"CR in the target":          {"GET /api/tags\rX HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"zero in a field":           {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\nX: a\x00b\r\n" + auth + "Connection: close\r\n\r\n", "400"},
		"negative length":           {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length: -1\r\nConnection: close\r\n\r\n", "400"},
		"list of lengths":           {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Content-Length: 2, 40\r\nConnection: close\r\n\r\nab", "400"},
		"two codings":               {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n0\r\n\r\n", "501"},
		"malformed chunk":           {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n", "400"},
		"body cut short":            {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nabc\r\n0\r\n\r\n", "400"},
		"expectation":               {"POST /api/chat HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Expect: evil\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab", "417"},
		"protocol change":           {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "400"},
		"many fields":               {"GET /api/tags HTTP/1.1\r\nHost: " + host + "\r\n" + auth + strings.Repeat("X: y\r\n", 20_000) + "\r\n", "431"},
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
