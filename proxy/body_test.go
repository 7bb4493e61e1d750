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
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// TestUnboundedBodies moves much more than the memory that the test allows, in both
// directions and without a length, as an upload of many gigabytes.
func TestUnboundedBodies(t *testing.T) {
	const (
		size  = 128 << 20
		limit = 16 << 20 // for all memory that is used in the meantime, also if it is free again
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n == 0 {
			n, _ = io.Copy(w, io.LimitReader(zeros{}, size))
		}
		fmt.Fprint(w, n)
	}))
	defer server.Close()
	p := proxyTo(t, server.URL)
	p.AllowPush = true
	f := start(t, p)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f.want("PATCH", "/v2/a/blobs/uploads/1", onlyReader{io.LimitReader(zeros{}, size)}, nil, 200, fmt.Sprint(size))
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.url+"/v2/a/blobs/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("", p.Token)
	resp, err := noRedirects.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n < size || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > limit {
		t.Errorf("%d MiB of memory were used, want at most %d", used>>20, limit>>20)
	}
}

type zeros struct{}

func (zeros) Read(buf []byte) (int, error) { return len(buf), nil }

// TestEarlyReply wants the reply of a server that reads nothing or only the begin of a
// body, while the client still has to send more of it.
func TestEarlyReply(t *testing.T) {
	for _, begin := range []int64{0, 10} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, begin)
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}))
		p := proxyTo(t, server.URL)
		p.AllowPush = true
		f := start(t, p)
		body, rest := io.Pipe()
		go func() { _, _ = rest.Write(make([]byte, 1000)) }()
		f.want("PATCH", "/v2/a/blobs/uploads/1", body, nil, 413, "")
		rest.Close()
		server.Close()
	}
}

// TestClientThatWaits wants a client that waits for an agreement (RFC 9110, section
// 10.1.1) to get it, or to keep its body if the server refuses.
func TestClientThatWaits(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Refuse") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}))
	defer server.Close()
	p := proxyTo(t, server.URL)
	p.AllowPush = true
	f := start(t, p)
	for _, refuse := range []string{"", "1"} {
		for _, size := range []int{10, 1 << 20} {
			transport := &http.Transport{ExpectContinueTimeout: time.Hour, DisableKeepAlives: true}
			req, err := http.NewRequestWithContext(t.Context(), "PUT", f.url+"/v2/a/blobs/uploads/1", bytes.NewReader(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("", p.Token)
			req.Header.Set("Expect", "100-continue")
			req.Header.Set("X-Refuse", refuse)
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprint(size); refuse == "" && string(got) != want || (resp.StatusCode == 403) != (refuse != "") {
				t.Errorf("%d bytes, refuse %q: %s %q", size, refuse, resp.Status, got)
			}
		}
	}
}
