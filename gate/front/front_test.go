package front_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/front"
)

func origin(t testing.TB, text string) challenge.Origin {
	t.Helper()
	o, err := challenge.ParseOrigin(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// serve passes a request to a Handler of two sites, and returns the status and the
// Request that the site's handler saw.
func serve(t testing.TB, change func(*http.Request), proxies ...netip.Prefix) (int, front.Request) {
	t.Helper()
	var seen front.Request
	site := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = front.Of(r.Context()) })
	h := front.Handler{TrustedProxies: proxies, Sites: map[challenge.Origin]http.Handler{
		origin(t, "https://reg.example"):      site,
		origin(t, "https://other.example:88"): site,
	}}
	r := httptest.NewRequest(http.MethodGet, "/v2/?a=b%2Fc", nil)
	r.Host, r.RemoteAddr, r.TLS = "reg.example", "192.0.2.1:1000", &tls.ConnectionState{}
	change(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, seen
}

func TestRule01_Host(t *testing.T) {
	for host, want := range map[string]string{
		"reg.example":      "https://reg.example",
		"reg.example:443":  "https://reg.example:443",
		"Reg.Example:0443": "https://Reg.Example:0443",
		"other.example:88": "https://other.example:88",
		"other.example":    "", "reg.example:88": "", "reg.example.": "", "sub.reg.example": "", "": "", "reg.example:": "https://reg.example:",
		"u@reg.example": "", "reg.example/": "", `reg.example\`: "", "reg.example#": "", "reg.example?": "", "reg.example ": "", "192.0.2.9": "",
	} {
		status, got := serve(t, func(r *http.Request) { r.Host = host })
		if got.Origin != want || want == "" && status != http.StatusMisdirectedRequest {
			t.Errorf("%q: %d, %q; want %q", host, status, got.Origin, want)
		}
	}
}

func TestRule02_RequestTarget(t *testing.T) {
	for target, want := range map[string]int{
		"/v2/": 200, "/v2/?a=b": 200, "/": 200, "/a.b/..c/d..": 200, "/a/": 200, "/a?b/../c": 200, "/a:b/~c": 200,
		"/a%2Fb": 404, "/%61": 404, "//a": 404, "/a//": 404, "/a//b": 404, "/a/./b": 404, "/a/../b": 404, "/..": 404, "/.": 404, "/a;b": 404, `/a\b`: 404, "/a#b": 404, "/\u00e9": 404, "/\x7f": 404, "/\x1f": 404,
		"http://reg.example/": 400, "*": 400, "reg.example:443": 400, "": 400,
	} {
		status, got := serve(t, func(r *http.Request) { r.RequestURI = target })
		if status != want || want == 200 && got.Target() != target {
			t.Errorf("%q: %d, %q; want %d", target, status, got.Target(), want)
		}
	}
}

func TestRule05_ProtocolChanges(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"CONNECT":    func(r *http.Request) { r.Method = http.MethodConnect },
		"TRACE":      func(r *http.Request) { r.Method = http.MethodTrace },
		"Upgrade":    func(r *http.Request) { r.Header.Set("Upgrade", "x") },
		"Connection": func(r *http.Request) { r.Header["Connection"] = []string{"close", "keep-alive , UPGRADE"} },
		"h2c":        func(r *http.Request) { r.Header.Set("HTTP2-Settings", "x") },
	} {
		if status, got := serve(t, change); status != 400 || got != (front.Request{}) {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func TestRule05_ClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for _, tt := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"203.0.113.5:1", nil, "203.0.113.5"},
		{"203.0.113.5:1", []string{"198.51.100.7"}, "203.0.113.5"}, // no proxy: not believed
		{"192.0.2.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"192.0.2.1:1", []string{"10.0.0.1, 198.51.100.7"}, "198.51.100.7"}, // the client wrote the first
		{"192.0.2.1:1", []string{"10.0.0.1", "198.51.100.7, 192.0.2.9"}, "198.51.100.7"},
		{"192.0.2.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"[2001:db8::1]:1", []string{"[2001:dead::7]:4711"}, "2001:dead::7"},
		{"[::ffff:192.0.2.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"192.0.2.1:1", nil, "invalid IP"},
		{"192.0.2.1:1", []string{"unknown"}, "invalid IP"},
		{"192.0.2.1:1", []string{"10.0.0.1, x"}, "invalid IP"},
		{"192.0.2.1:1", []string{"192.0.2.3"}, "invalid IP"},
		{"192.0.2.1:1", []string{"198.51.100.7,"}, "invalid IP"},
	} {
		_, got := serve(t, func(r *http.Request) {
			r.RemoteAddr = tt.remote
			r.Header["X-Forwarded-For"] = tt.forwarded
		}, proxies...)
		if got.Address.String() != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.remote, tt.forwarded, got.Address, tt.want)
		}
	}
}

func TestRule13_PlainConnections(t *testing.T) {
	for remote, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "192.0.2.1:1": 200, "203.0.113.5:1": 403, "[2001:db8::1]:1": 403, "": 403,
	} {
		status, _ := serve(t, func(r *http.Request) { r.TLS, r.RemoteAddr = nil, remote }, netip.MustParsePrefix("192.0.2.1/32"))
		if status != want {
			t.Errorf("%s: %d, want %d", remote, status, want)
		}
	}
}

// FuzzRule02 holds that a path that passes means the same to a server that removes
// escapes, dot segments and empty segments.
func FuzzRule02(f *testing.F) {
	for _, target := range []string{"/v2/a/b", "/a%2fb", "/a/../b?c", "//", "/a;/b", "/??"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		status, got := serve(t, func(r *http.Request) { r.RequestURI = target })
		if status != 200 {
			return
		}
		want := target
		if path, query, _ := strings.Cut(target, "?"); query == "" {
			want = path
		}
		if got.Target() != want {
			t.Errorf("%q became %q", target, got.Target())
		}
		parsed := got.Path
		for _, s := range strings.Split(parsed, "/") {
			if s == ".." || s == "." {
				t.Errorf("%q has a dot segment", target)
			}
		}
		if strings.Contains(parsed, "//") || strings.ContainsAny(parsed, "%;\\?# ") {
			t.Errorf("%q can be read in two ways", target)
		}
		if again := front.Of(front.With(t.Context(), got)); cmp.Diff(got.Path, again.Path) != "" {
			t.Error("the context has another path")
		}
	})
}
