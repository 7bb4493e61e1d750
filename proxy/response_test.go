package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/proxy"
)

// TestRule18_RequestIsClean wants the client's login and site to stay on this machine, and the
// server's login to stay there.
func TestRule18_RequestIsClean(t *testing.T) {
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
		for _, name := range []string{"Cookie", "Forwarded", "X-Forwarded-For", "X-Forwarded-User", "Proxy-Authorization", "Referer", "X_Forwarded_User", "X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "Access-Control-Request-Headers"} {
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

// TestRule18_Links wants clients to stay on the proxy, and to leave it for other servers.
func TestRule18_Links(t *testing.T) {
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
		server.URL + "/elsewhere":                                        server.URL + "/elsewhere",
		"http://evil.example/base/v2/x?a=" + server.URL:                  "http://evil.example/base/v2/x?a=" + server.URL,
		strings.Replace(server.URL, "//", "//x@", 1) + "/base/v2/x":      f.url + "/v2/x",
		strings.Replace(server.URL, "http:", "", 1) + "/base/v2/x":       f.url + "/v2/x",
		server.URL + "/base/v2/%C3%A4?b=%20#c":                           f.url + "/v2/%C3%A4?b=%20#c",
		"http://127.0.0.1.evil.example/base/v2/x":                        "http://127.0.0.1.evil.example/base/v2/x",
		server.URL + "@evil.example/base/v2/x":                           server.URL + "@evil.example/base/v2/x",
		strings.Replace(server.URL, "http:", "https:", 1) + "/base/v2/x": strings.Replace(server.URL, "http:", "https:", 1) + "/base/v2/x",
		server.URL + "/base/../v2/x":                                     server.URL + "/v2/x",
		"http://bücher.example/base/":                                    "http://b%C3%BCcher.example/base/",
		other:                                                            other,
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

// TestInterimReply wants the fields of the login to be removed from a reply that comes
// before the last one, and the others to be kept.
func TestInterimReply(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Set-Cookie", "WWW-Authenticate", "Authorization", "Link"} {
			w.Header().Set(name, "</v2/>")
		}
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	var interim []textproto.MIMEHeader
	f.want("GET", "/v2/", nil, func(req *http.Request) {
		*req = *req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(status int, fields textproto.MIMEHeader) error {
				if status == http.StatusEarlyHints {
					interim = append(interim, fields)
				}
				return nil
			},
		}))
	}, 200, "")
	if diff := cmp.Diff([]textproto.MIMEHeader{{"Link": {"</v2/>"}}}, interim); diff != "" {
		t.Errorf("interim replies (-want +got):\n%s", diff)
	}
}

// TestTrailersAreClean wants the same of the fields after the body, whether the server
// announced them or not.
func TestTrailersAreClean(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Set-Cookie, X-Announced, Authorization")
		fmt.Fprintln(w, "line")
		_ = http.NewResponseController(w).Flush()
		for _, name := range []string{"Set-Cookie", "Authorization", "X-Announced"} {
			w.Header().Set(name, "x")
		}
		for _, name := range []string{"Www-Authenticate", "Proxy-Authenticate", "X-Other"} {
			w.Header().Set(http.TrailerPrefix+name, "x")
		}
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	resp := f.want("GET", "/v2/", nil, nil, 200, "line")
	for name := range resp.Trailer {
		if values := resp.Trailer[name]; len(values) == 0 {
			delete(resp.Trailer, name) // it was announced only
		}
	}
	if diff := cmp.Diff(http.Header{"X-Announced": {"x"}, "X-Other": {"x"}}, resp.Trailer); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}

// TestRequestTrailers wants no field of a login after the client's body.
func TestRequestTrailers(t *testing.T) {
	trailers := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	f.want("POST", "/api/chat", onlyReader{strings.NewReader("{}")}, func(req *http.Request) {
		req.Trailer = http.Header{"Authorization": {"Bearer foreign"}, "X-Forwarded-User": {"foreign"}}
	}, 200, "")
	if got := <-trailers; len(got) != 0 {
		t.Errorf("the server got the trailers %v", got)
	}
}
