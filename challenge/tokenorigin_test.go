package challenge_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

func TestTokenGoesToItsOriginOnly(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = append(seen, req.Header.Get("Authorization"))
		io.WriteString(w, "elsewhere")
	}))
	defer other.Close()
	for _, tls := range []bool{false, true} {
		v := visit(t, challengetest.Config{TLS: tls})
		v.mustGet(t, manifest)
		for _, to := range []string{other.URL, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)} {
			v.Fail(challengetest.Resources, 1, challengetest.Reply(307, "", "Location", to))
			if body, err := v.get(t.Context(), manifest); body != "elsewhere" {
				t.Errorf("redirected to %s: %q, %v", to, body, err)
			}
		}
	}
	if got := strings.Join(seen, ""); got != "" || len(seen) != 4 {
		t.Errorf("the other server was sent %q", seen)
	}
}

// TestTokenIsKeptFromSubdomains: http.Client itself would pass a field of the
// caller's on to them.
func TestTokenIsKeptFromSubdomains(t *testing.T) {
	sent := map[string]string{}
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		sent[req.URL.Host+req.URL.Path] = req.Header.Get("Authorization")
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
		switch {
		case req.URL.Path == "/token":
			resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
		case req.URL.Host == "r.example" && req.Header.Get("Authorization") == "":
			resp.StatusCode = 401
			resp.Header.Set("WWW-Authenticate", `Bearer realm="https://r.example/token"`)
		case req.URL.Host == "r.example":
			resp.StatusCode = 307
			resp.Header.Set("Location", "https://cdn.r.example/blob")
		}
		return resp, nil
	})
	key := visit(t, challengetest.Config{}).key
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		HTTP: &http.Client{Transport: base},
		Key:  challenge.StaticKey(key),
	}}}
	resp, err := client.Get("https://r.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if sent["r.example/"] != "Bearer t" || sent["cdn.r.example/blob"] != "" {
		t.Errorf("Authorization fields: %q", sent)
	}
}

func TestBlobsFromAnotherOrigin(t *testing.T) {
	v := visit(t, challengetest.Config{CDN: true}, "weights")
	for range 2 {
		if body, err := v.get(t.Context(), blob(v.layers[0])); body != "weights" {
			t.Errorf("%q, %v", body, err)
		}
	}
}

// TestResponseDoesNotCarryTheToken: a caller may build the next request on it.
func TestResponseDoesNotCarryTheToken(t *testing.T) {
	v := visit(t, challengetest.Config{})
	resp, err := v.http.Get(v.URL + manifest)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Request.Header.Get("Authorization"); got != "" {
		t.Errorf("resp.Request carries %.7s...", got)
	}
}

func TestRealmOnAListedOrigin(t *testing.T) {
	v := visit(t, challengetest.Config{Login: true})
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, challenge.ErrRealm) {
		t.Fatalf("error %v, want ErrRealm", err)
	}
	realm, _ := url.Parse(v.Realm())
	v.client.Policy.Pairs = []challenge.RealmPair{{Registry: parseOrigin(t, v.URL), Realm: originOf(t, realm)}}
	v.mustGet(t, manifest)
}
