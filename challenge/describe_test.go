package challenge

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// followed returns a request to the last URL, which http.Client made from the others
// by following redirects. "" is a request without a URL.
func followed(t *testing.T, urls ...string) *http.Request {
	t.Helper()
	var req *http.Request
	for _, text := range urls {
		next := &http.Request{Header: http.Header{}}
		if text != "" {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			next.URL = u
		}
		if req != nil {
			next.Response = &http.Response{Request: req}
		}
		req = next
	}
	return req
}

func TestDescribeRequestFindsRedirects(t *testing.T) {
	for name, tt := range map[string]struct {
		urls []string
		want []string // origins; "" is an unknown one
	}{
		"no redirect":             {[]string{"https://a.test/v2/"}, nil},
		"the same origin":         {[]string{"https://a.test/1", "https://a.test/2"}, nil},
		"an upgrade":              {[]string{"http://a.test/", "https://a.test/"}, nil},
		"a step down":             {[]string{"https://a.test/", "http://a.test/"}, []string{"https://a.test"}},
		"another origin":          {[]string{"https://b.test/", "https://a.test/"}, []string{"https://b.test"}},
		"two other origins":       {[]string{"https://c.test/", "https://b.test/", "https://a.test/"}, []string{"https://c.test", "https://b.test"}},
		"out and back":            {[]string{"https://a.test/", "https://b.test/", "https://a.test/"}, []string{"https://b.test"}},
		"a request without a URL": {[]string{"", "https://a.test/"}, []string{""}},
		"it is not the first":     {[]string{"https://b.test/", "", "https://a.test/"}, []string{""}}, // the search ends
	} {
		r, err := describeRequest(followed(t, tt.urls...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, o := range r.redirectedBy {
			if o == (Origin{}) {
				got = append(got, "")
				continue
			}
			got = append(got, o.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
