package proxy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

// TestRule18_TokenEndpoint wants no token in a reply, whether the proxy knows the realm already
// or learns it from this very request.
func TestRule18_TokenEndpoint(t *testing.T) {
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

// TestTokenEndpointElsewhere wants no reply of token endpoints at unusual places, with any
// method, and a line in the log, also if a request itself teaches the path.
func TestTokenEndpointElsewhere(t *testing.T) {
	for name, c := range map[string]struct{ base, realm, path string }{
		"root":              {"", "/", "/"},
		"query":             {"", "/v2/x?kind=token", "/v2/x"},
		"below a base":      {"/base", "/base/v2/token", "/v2/token"},
		"escaped":           {"", "/v2/%74oken", "/v2/token"},
		"API":               {"", "/api/token", "/api/token"},
		"upper case":        {"", "/v2/Token", "/v2/token"},
		"slash at the end":  {"", "/v2/token/", "/v2/token"},
		"below a base, too": {"/base/", "/base//v2/./token", "/v2/token"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("nonce") != "" {
					fmt.Fprint(w, `{"token":"secret"}`)
					return
				}
				if r.Header.Get("Authorization") != "" {
					fmt.Fprint(w, `{"token":"another secret"}`)
					return
				}
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s%s",service="x",scope="repository:a:pull"`, r.Host, c.realm))
				w.WriteHeader(http.StatusUnauthorized)
			}))
			defer server.Close()
			p := proxyTo(t, server.URL+c.base)
			p.AllowPush, p.AllowDelete = true, true
			f := start(t, p)
			f.want("GET", c.path, nil, nil, 403, "token endpoint")
			if got := f.log.String(); !strings.Contains(got, "msg=refused method=GET path="+c.path) {
				t.Errorf("the log does not tell the refusal: %s", got)
			}
			for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE"} {
				f.want(method, c.path, nil, nil, 403, "")
			}
			f.want("GET", c.path+"?service=x&scope=repository:a:pull", nil, nil, 403, "token endpoint")
		})
	}
}

// TestTokenEndpointAfterRedirect wants a client that follows a redirect to the token
// endpoint to come to the proxy, which refuses it.
func TestTokenEndpointAfterRedirect(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/token":
			fmt.Fprint(w, `{"token":"secret"}`)
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/v2/token",service="x",scope="repository:a:pull"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("Location", "//"+r.Host+"/v2/./token?service=x")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	f := start(t, proxyTo(t, server.URL))
	resp, _ := f.send("GET", "/v2/a/manifests/latest", nil, nil)
	path, ok := strings.CutPrefix(resp.Header.Get("Location"), f.url)
	if !ok {
		t.Fatalf("Location is %s, want an address of the proxy", resp.Header.Get("Location"))
	}
	if resp, got := f.send("GET", path, nil, nil); resp.StatusCode == 200 || strings.Contains(got, "secret") {
		t.Errorf("%s: %d %s", path, resp.StatusCode, got)
	}
}
