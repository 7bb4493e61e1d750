package proxy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

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
