package challenge_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// redirect makes a registry answer its next requests for resources with a redirect.
func (v *visitor) redirect(times int, target string) {
	v.Fail(challengetest.Resources, times, challengetest.Reply(http.StatusTemporaryRedirect, "", "Location", target))
}

// send sends a request with a body that can be sent again.
func (v *visitor) send(ctx context.Context, method, target string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

func (v *visitor) pair(t *testing.T, realm *visitor) challenge.RealmPair {
	t.Helper()
	return challenge.RealmPair{Registry: parseOrigin(t, v.URL), Realm: parseOrigin(t, realm.URL)}
}

// TestRedirectFromAnotherOrigin has a hostile registry redirect a request to an honest
// one that knows the key.
func TestRedirectFromAnotherOrigin(t *testing.T) {
	for _, remembered := range []bool{false, true} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPost} {
			hostile, honest := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
			honest.AddImage("precious", "latest")
			if remembered { // this and another repository, for this method
				honest.send(t.Context(), method, honest.URL+"/v2/precious/manifests/latest")
				honest.send(t.Context(), method, honest.URL+"/v2/other/manifests/latest")
				honest.mustGet(t, manifest)
				honest.AddImage("precious", "latest")
			}
			signatures, challenges := honest.signatures.Load(), honest.Stats().Challenges
			hostile.redirect(1, honest.URL+"/v2/precious/manifests/latest")
			status, err := honest.send(t.Context(), method, hostile.URL+manifest)
			var e *challenge.Error
			if !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), "redirected here from "+hostile.URL+")") || !errors.As(err, &e) || e.Op != "check realm" {
				t.Errorf("%s, remembered=%v: status %d, error %v, want ErrRealm that names %s", method, remembered, status, err, hostile.URL)
			}
			if n := honest.signatures.Load() - signatures; n != 0 {
				t.Errorf("%s, remembered=%v: %d signatures, want none", method, remembered, n)
			}
			if auth := honest.Last(challengetest.Resources).Header.Get("Authorization"); auth != "" {
				t.Errorf("%s, remembered=%v: sent with %.10s...", method, remembered, auth)
			}
			if n := honest.Stats().Challenges - challenges; n != 1 {
				t.Errorf("%s, remembered=%v: challenged %d times, want once", method, remembered, n)
			}
			if _, err := honest.get(t.Context(), manifest); err != nil {
				t.Errorf("%s, remembered=%v: a request that nobody redirected: %v", method, remembered, err)
			}
		}
	}
}

func TestRedirectFromAPairedOrigin(t *testing.T) {
	first, last := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	last.client.Policy.Pairs = []challenge.RealmPair{first.pair(t, last)}
	for range 2 { // the second time, last is remembered
		first.redirect(1, last.URL+manifest)
		if status, err := last.send(t.Context(), http.MethodGet, first.URL+manifest); status != http.StatusOK {
			t.Errorf("status %d, error %v", status, err)
		}
	}
}

// TestEachRedirectIsChecked has several origins redirect one request.
func TestEachRedirectIsChecked(t *testing.T) {
	listed, foreign, target := visit(t, challengetest.Config{}), visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	target.client.Policy.Pairs = []challenge.RealmPair{listed.pair(t, target)}
	target.mustGet(t, manifest) // target is remembered
	tests := []struct {
		name string
		hops []*visitor // before target
		says string     // "" if the request gets its token
	}{
		{"listed", []*visitor{listed}, ""},
		{"listed twice", []*visitor{listed, listed}, ""},
		{"the target itself", []*visitor{target}, ""},
		{"foreign first", []*visitor{foreign, listed}, "redirected here from " + foreign.URL},
		{"foreign last", []*visitor{listed, foreign}, "the request to " + listed.URL + " was redirected here by " + foreign.URL},
		{"foreign in the middle", []*visitor{listed, foreign, listed}, "the request to " + listed.URL + " was redirected here by " + foreign.URL},
		{"away and back", []*visitor{target, foreign}, "redirected here from " + foreign.URL},
		{"in the middle of the way from the target", []*visitor{target, listed, foreign, listed}, "redirected here by " + foreign.URL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, hop := range tt.hops {
				next := target.URL
				if i+1 < len(tt.hops) {
					next = tt.hops[i+1].URL
				}
				hop.redirect(1, next+manifest)
			}
			status, err := target.send(t.Context(), http.MethodGet, tt.hops[0].URL+manifest)
			if tt.says == "" {
				if status != http.StatusOK {
					t.Errorf("status %d, error %v", status, err)
				}
				return
			}
			if !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("status %d, error %v, want ErrRealm with %q", status, err, tt.says)
			}
			if auth := target.Last(challengetest.Resources).Header.Get("Authorization"); auth != "" {
				t.Errorf("sent with %.10s...", auth)
			}
		})
	}
}

// TestTokenForARedirectedRequest is for programs that answer challenges themselves.
func TestTokenForARedirectedRequest(t *testing.T) {
	hostile, honest := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
	honest.mustGet(t, manifest) // its token is in memory
	hostile.redirect(1, honest.URL+manifest)
	resp, err := http.Get(hostile.URL + manifest)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		t.Fatal(err)
	}
	token, err := honest.client.Token(t.Context(), ch, resp.Request)
	if !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), hostile.URL) {
		t.Errorf("%v, error %v; want ErrRealm that names %s", token, err, hostile.URL)
	}
}

// TestRedirectOfUnknownOrigin has a program put a response without its request into a
// request, so that nobody knows who redirected it.
func TestRedirectOfUnknownOrigin(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.mustGet(t, manifest)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+manifest, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, earlier := range []*http.Request{nil, {}} {
		req.Response = &http.Response{StatusCode: http.StatusFound, Request: earlier}
		if _, err := v.http.Do(req); !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), "unknown origin") {
			t.Errorf("error %v, want ErrRealm for an unknown origin", err)
		}
	}
}

func TestRequestSignerSignsNoForeignRedirect(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		hostile, honest := visit(t, challengetest.Config{}), visit(t, challengetest.Config{})
		client := &http.Client{Transport: &challenge.RequestSigner{
			Key:     honest.client.Key,
			Origins: []challenge.Origin{parseOrigin(t, honest.URL)},
		}}
		send := func(target string) (int, error) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, err
		}
		hops := []struct {
			first string
			plan  func()
		}{
			{hostile.URL, func() {
				hostile.Fail(challengetest.API, 1, challengetest.Reply(http.StatusTemporaryRedirect, "", "Location", honest.URL+"/api/delete"))
			}},
			{honest.URL, func() { // away and back
				honest.Fail(challengetest.API, 1, challengetest.Reply(http.StatusTemporaryRedirect, "", "Location", hostile.URL+"/api/x"))
				hostile.Fail(challengetest.API, 1, challengetest.Reply(http.StatusTemporaryRedirect, "", "Location", honest.URL+"/api/delete"))
			}},
		}
		for _, hop := range hops {
			hop.plan()
			status, err := send(hop.first + "/api/me")
			if !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), hostile.URL) {
				t.Errorf("%s: status %d, error %v; want ErrRealm that names %s", method, status, err, hostile.URL)
			}
			last := honest.Last(challengetest.API)
			if auth := last.Header.Get("Authorization"); auth != "" || last.URL.Path != "/api/delete" || last.URL.RawQuery != "" {
				t.Errorf("%s: %s was sent with Authorization %.10q", method, last.URL, auth)
			}
		}
		// A server that asks for no signature answers as usual.
		hops[0].plan()
		honest.Fail(challengetest.API, 1, challengetest.Reply(http.StatusOK, ""))
		if status, err := send(hostile.URL + "/api/me"); status != http.StatusOK {
			t.Errorf("%s: status %d, error %v", method, status, err)
		}
		// The origin itself may redirect.
		honest.Fail(challengetest.API, 1, challengetest.Reply(http.StatusTemporaryRedirect, "", "Location", "/api/other"))
		if status, err := send(honest.URL + "/api/me"); status != http.StatusOK {
			t.Errorf("%s: redirected by its own origin: status %d, error %v", method, status, err)
		}
	}
}

// TestOneTokenForEachRegistry has two registries with one realm. Their challenges
// differ in nothing but the registry that sends them.
func TestOneTokenForEachRegistry(t *testing.T) {
	realm := visit(t, challengetest.Config{})
	sent := map[string]string{}
	tokens := 0
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
		switch auth := req.Header.Get("Authorization"); {
		case req.URL.Path == "/token":
			tokens++
			resp.Body = io.NopCloser(strings.NewReader(`{"token":"token` + string(rune('0'+tokens)) + `"}`))
		case auth == "":
			resp.StatusCode = 401
			resp.Header.Set("WWW-Authenticate", `Bearer realm="https://login.example/token",service="s",scope="repository:a:pull"`)
		default:
			sent[req.URL.Host] = auth
		}
		return resp, nil
	})
	login := parseOrigin(t, "login.example")
	client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
		HTTP: &http.Client{Transport: base},
		Key:  challenge.StaticKey(realm.key),
		Policy: challenge.Policy{Pairs: []challenge.RealmPair{
			{Registry: parseOrigin(t, "one.example"), Realm: login}, {Registry: parseOrigin(t, "two.example"), Realm: login},
		}},
	}}}
	for _, host := range []string{"one.example", "two.example", "one.example"} {
		resp, err := client.Get("https://" + host + "/v2/a/manifests/latest")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if sent["one.example"] == sent["two.example"] || tokens != 2 {
		t.Errorf("sent %q, from %d exchanges; want two tokens", sent, tokens)
	}
}

// TestKeyFuncGetsTheOrigin: the origin is in its normal form.
func TestKeyFuncGetsTheOrigin(t *testing.T) {
	v := visit(t, challengetest.Config{})
	var asked []challenge.Origin
	v.client.Key = func(_ context.Context, origin challenge.Origin) (signer.Signer, error) {
		asked = append(asked, origin)
		return v.key, nil
	}
	v.mustGet(t, manifest)
	if len(asked) != 1 || asked[0] != parseOrigin(t, v.URL) {
		t.Errorf("asked for the key of %v, want %s", asked, v.URL)
	}
}

// TestUpgradeToTLS: many servers redirect plain requests to the same host over TLS.
func TestUpgradeToTLS(t *testing.T) {
	for target, want := range map[string]bool{
		"https://r.example":      true,
		"https://r.example:8443": false,
		"https://q.example":      false,
	} {
		var sent string
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
			switch {
			case req.URL.Path == "/token":
				resp.Body = io.NopCloser(strings.NewReader(`{"token":"t"}`))
			case req.URL.Scheme == "http":
				resp.StatusCode = http.StatusMovedPermanently
				resp.Header.Set("Location", target+"/v2/")
			case req.Header.Get("Authorization") == "":
				askForToken(resp, target+"/token", "")
			default:
				sent = req.Header.Get("Authorization")
			}
			return resp, nil
		})
		client := &http.Client{Transport: &challenge.Transport{Base: base, Client: &challenge.Client{
			HTTP: &http.Client{Transport: base}, Key: challenge.StaticKey(newKey()),
		}}}
		resp, err := client.Get("http://r.example/v2/")
		if err == nil {
			resp.Body.Close()
		}
		if got := sent != ""; got != want || errors.Is(err, challenge.ErrRealm) == want {
			t.Errorf("redirected to %s: token sent: %v, want %v; error %v", target, got, want, err)
		}
	}
}

func TestTokenForNoChallenge(t *testing.T) {
	c := &challenge.Client{Key: func(context.Context, challenge.Origin) (signer.Signer, error) {
		t.Error("the key was opened")
		return nil, signer.ErrNotFound
	}}
	var refused []challenge.Event
	c.Trace = &challenge.Trace{Refused: func(e challenge.Event) { refused = append(refused, e) }}
	req, err := http.NewRequest(http.MethodGet, "https://r.example/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	params := func(realm string) []challenge.Param {
		return []challenge.Param{{Name: "realm", Value: realm}, {Name: "service", Value: "s"}, {Name: "scope", Value: "repository:a:pull"}}
	}
	for _, tt := range []struct {
		challenge.Challenge
		op   string
		want error
	}{
		{challenge.Challenge{Scheme: "basic", Params: params("registry")}, "read challenge", challenge.ErrNoChallenge},
		{challenge.Challenge{Scheme: "bearer", Params: params("")}, "read challenge", challenge.ErrNoChallenge},
		{challenge.Challenge{Scheme: "bearer", Params: params("https://evil.example/token")}, "check realm", challenge.ErrRealm},
	} {
		refused = nil
		_, err := c.Token(t.Context(), tt.Challenge, req)
		var e *challenge.Error
		if !errors.As(err, &e) || !errors.Is(err, tt.want) || e.Op != tt.op {
			t.Errorf("%v: error %v, want %s: %v", tt.Challenge, err, tt.op, tt.want)
			continue
		}
		realm := tt.Get("realm")
		if e.Registry != "https://r.example" || e.Realm != realm || e.Scope != "repository:a:pull" {
			t.Errorf("%v: the error lacks something: %+v", tt.Challenge, e)
		}
		want := []challenge.Event{{Registry: "https://r.example", Realm: realm, Service: "s", Scope: "repository:a:pull", Err: err}}
		if diff := cmp.Diff(want, refused, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("%v: events (-want +got):\n%s", tt.Challenge, diff)
		}
	}
}

func TestRequestWithoutAHost(t *testing.T) {
	c := &challenge.Client{Key: challenge.StaticKey(newKey())}
	ch := challenge.Challenge{Scheme: "bearer", Params: []challenge.Param{{Name: "realm", Value: "https://r.example/token"}}}
	for _, u := range []string{"/v2/", "https:///v2/", "ftp://r.example/"} {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		req := &http.Request{URL: parsed, Header: http.Header{}}
		var e *challenge.Error
		if _, err := c.Token(t.Context(), ch, req); !errors.As(err, &e) || e.Op != "read challenge" {
			t.Errorf("Token for %s: error %v", u, err)
		}
		sent := false
		base := roundTripper(func(*http.Request) (*http.Response, error) { sent = true; return nil, io.EOF })
		if _, err := (&challenge.Transport{Client: c, Base: base}).RoundTrip(req); err == nil || !sent {
			t.Errorf("Transport for %s: sent to Base: %v, error %v", u, sent, err)
		}
	}
}
