package forward

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gate/front"
)

func TestRule05_Clean(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"Cookie", "Forwarded", "X-Forwarded-For", "x_forwarded_host", "X-Real-IP", "X_Real_IP", "Remote-User", "Remote_User", "X-Remote-Groups",
		"X-Auth-Request-Email", "X-Countersign-User", "x_countersign_key", "Via", "Te", "Trailer", "Proxy-Authorization",
	} {
		h[name] = []string{"x"}
	}
	want := http.Header{"Accept": {"a"}, "Authorization": {"b"}, "X-Forward": {"c"}, "Range": {"d"}}
	for name, values := range want {
		h[name] = values
	}
	Clean(h)
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A roundTripper answers requests without a server.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestProxyForwardsTheSameBytes(t *testing.T) {
	upstream, err := url.Parse("http://127.0.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	p := &Proxy{Upstream: upstream, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}, Request: r}, nil
	})}
	r := httptest.NewRequest(http.MethodGet, "/other?x=y", nil)
	r.Header.Set("Authorization", "secret")
	p.Handler().ServeHTTP(httptest.NewRecorder(), r.WithContext(front.With(r.Context(), front.Request{Path: "/v2/a/tags/list", RawQuery: "n=1&last=a%2Fb"})))
	if want := "http://127.0.0.1:5000/v2/a/tags/list?n=1&last=a%2Fb"; got.URL.String() != want || got.Host != "127.0.0.1:5000" || got.Header.Get("Authorization") != "" {
		t.Errorf("got %s, host %s, %v; want %s", got.URL, got.Host, got.Header, want)
	}
}

func TestProxyTellsFailures(t *testing.T) {
	down := errors.New("down")
	var told error
	p := &Proxy{
		Upstream:  &url.URL{Scheme: "http", Host: "127.0.0.1:5000"},
		Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, down }),
		Failed:    func(_ *http.Request, err error) { told = err },
	}
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusBadGateway || !errors.Is(told, down) || strings.Contains(w.Body.String(), "down") || !strings.Contains(w.Body.String(), "does not answer") {
		t.Errorf("%d %s, told %v", w.Code, w.Body, told)
	}
}
