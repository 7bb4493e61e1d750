package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/proxy"
)

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

// TestBodyThatIsKept wants the longest body that is kept to be sent at once, and a longer
// one to wait until the server agrees to read it.
func TestBodyThatIsKept(t *testing.T) {
	expects := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		expects <- req.Header.Get("Expect")
		io.Copy(io.Discard, req.Body)
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	for size, want := range map[int]string{256 << 10: "", 256<<10 + 1: "100-continue"} {
		f.want("POST", "/api/chat", bytes.NewReader(make([]byte, size)), nil, 200, "")
		if got := <-expects; got != want {
			t.Errorf("%d bytes: Expect: %q, want %q", size, got, want)
		}
	}
}

// TestCutBody wants a request whose body ends early to reach no server.
func TestCutBody(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	auth := ""
	if !proxy.KnowsUsers {
		auth = "Authorization: Basic OnRlc3Q=\r\n"
	}
	fmt.Fprintf(conn, "POST /api/chat HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 10\r\n\r\nhalf.", strings.TrimPrefix(f.url, "http://"), auth)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode < 400 || reached.Load() != 0 {
		t.Errorf("%v, %v; the server got %d requests", resp, err, reached.Load())
	}
}
