package registry_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/signer"
)

// post sends a helper secret.
func post(t testing.TB, g *gatetest.Gate, secret string, change url.Values) tokenReply {
	t.Helper()
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {secret}, "client_id": {"test"},
		"service": {g.Config.Sites[0].Service()}, "scope": {"repository:users/alice/a:pull,push,delete"},
	}
	maps.Copy(form, change)
	req, err := http.NewRequest(http.MethodPost, g.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = g.Config.Sites[0].Origin.URL().Host
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, req)
}

func helperSecret(t testing.TB, g *gatetest.Gate, key signer.Signer, change func(*challenge.HelperSecret)) string {
	t.Helper()
	h := challenge.HelperSecret{
		Origin: g.Config.Sites[0].Origin, Service: g.Config.Sites[0].Service(),
		Actions: []string{"pull", "push"}, Expires: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(&h)
	}
	secret, err := h.Sign(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestRule17_HelperSecret(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	secret := helperSecret(t, g, key, nil)
	for range 2 { // it is no single-use secret
		got := post(t, g, secret, nil)
		want := []scope.Access{{Type: "repository", Name: "users/alice/a", Actions: []string{"pull", "push"}}}
		if diff := cmp.Diff(want, got.access(t)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	other, err := challenge.ParseOrigin("https://other.example")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*challenge.HelperSecret){
		"other origin":  func(h *challenge.HelperSecret) { h.Origin = other },
		"other service": func(h *challenge.HelperSecret) { h.Service = "other" },
		"expired":       func(h *challenge.HelperSecret) { h.Expires = time.Now() },
		"13 hours":      func(h *challenge.HelperSecret) { h.Expires = time.Now().Add(13 * time.Hour) },
	} {
		if got := post(t, g, helperSecret(t, g, key, change), nil); got.status != 401 {
			t.Errorf("%s: %+v, want 401", name, got)
		}
	}
	readOnly := helperSecret(t, g, key, func(h *challenge.HelperSecret) { h.Actions = []string{"pull"} })
	for scope, want := range map[string]int{
		"repository:users/alice/a:push": 403, "repository:users/alice/a:*": 200, "registry:catalog:*": 200, "ollama:chat:call": 200,
	} {
		got := post(t, g, readOnly, url.Values{"scope": {scope}})
		if got.status != want {
			t.Errorf("%s: %+v, want %d", scope, got, want)
			continue
		}
		if want != 200 {
			continue
		}
		for _, a := range got.access(t) {
			if a.Type != "repository" || len(a.Actions) != 1 || a.Actions[0] != "pull" {
				t.Errorf("%s: got %v", scope, a)
			}
		}
	}
	if got := post(t, g, secret, url.Values{"grant_type": {"password"}}); got.status != 400 {
		t.Errorf("another grant_type: %+v", got)
	}
	// It is no signature of a token request, and such a signature is no secret.
	r := ask(g)
	if got := r.send(t, g, secret[strings.Index(secret, ".")+1:]); got.status != 401 {
		t.Errorf("as Authorization: %+v", got)
	}
	text := base64.RawURLEncoding.EncodeToString(challenge.TokenText(r.target()))
	if got := post(t, g, text+"."+r.sign(t, key), nil); got.status != 401 {
		t.Errorf("a signed token request: %+v", got)
	}
	g.Enrol(nil)
	if got := post(t, g, secret, nil); got.status != 401 {
		t.Errorf("after the key was removed: %+v", got)
	}
}

// TestRule17_Scheme wants secrets for https accepted without TLS too, because clients name a
// registry without its scheme to their helper, and secrets for plain http refused with TLS.
func TestRule17_Scheme(t *testing.T) {
	for own, want := range map[string]map[string]int{
		"http://reg.example":       {"http://reg.example": 200, "https://reg.example": 200, "https://reg.example:80": 401, "https://other.example": 401},
		"https://reg.example":      {"https://reg.example": 200, "http://reg.example": 401},
		"https://reg.example:5000": {"https://reg.example:5000": 200, "http://reg.example:5000": 401, "https://reg.example": 401},
	} {
		g, key := enrolled(t, gatetest.Options{Origin: own})
		for named, status := range want {
			origin, err := challenge.ParseOrigin(named)
			if err != nil {
				t.Fatal(err)
			}
			secret := helperSecret(t, g, key, func(h *challenge.HelperSecret) { h.Origin = origin })
			if got := post(t, g, secret, nil); got.status != status {
				t.Errorf("a secret for %s at %s: %+v, want %d", named, own, got, status)
			}
		}
	}
}
