package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/gate/verify"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

var now = time.Unix(1700000000, 0)

var window = verify.Window{Past: 5 * time.Minute, Future: 30 * time.Second}

func sign(t testing.TB, key signer.Signer, text []byte) string {
	t.Helper()
	auth, err := challenge.Sign(t.Context(), key, text)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

const target = "https://r.example/token?nonce=AAECAwQFBgcICQoLDA0ODw&scope=a%3Ab%3Ac&scope=d&service=s&ts=1700000000"

func TestToken(t *testing.T) {
	key := gatetest.NewKey(t)
	got, err := verify.Token(sign(t, key, challenge.TokenText(target)), target, window, now)
	if err != nil {
		t.Fatal(err)
	}
	if pubkey.IDOf(got.Key) != pubkey.IDOf(key.PublicKey()) || got.Service != "s" || got.Nonce != "AAECAwQFBgcICQoLDA0ODw" ||
		!got.Time.Equal(now) || fmt.Sprint(got.Scopes) != "[a:b:c d]" {
		t.Errorf("got %+v", got)
	}
	for other, want := range map[string]error{
		strings.Replace(target, "https", "http", 1):          verify.ErrSignature,
		strings.Replace(target, "scope=d", "scope=e", 1):     verify.ErrSignature,
		strings.Replace(target, "r.example", "x.example", 1): verify.ErrSignature,
		"https://ollama.com?ts=1700000000":                   verify.ErrSignature,
		"/token?ts=1700000000":                               verify.ErrForm,
	} {
		if _, err := verify.Token(sign(t, key, challenge.TokenText(target)), other, window, now); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", other, err, want)
		}
	}
	const withoutNonce = "https://ollama.com?ts=1700000000"
	if _, err := verify.Token(sign(t, key, challenge.TokenText(withoutNonce)), withoutNonce, window, now); !errors.Is(err, verify.ErrForm) {
		t.Errorf("no nonce: %v", err)
	}
}

func TestRule04_AuthorizationField(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   string
		ok     bool
	}{
		{nil, "", true},
		{[]string{"x"}, "x", true},
		{[]string{strings.Repeat("x", 8192)}, strings.Repeat("x", 8192), true},
		{[]string{strings.Repeat("x", 8193)}, "", false},
		{[]string{""}, "", false},
		{[]string{"x", "x"}, "", false},
		{[]string{"", ""}, "", false},
	} {
		got, err := verify.Authorization(http.Header{"Authorization": tt.values})
		if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, verify.ErrForm) {
			t.Errorf("%.20q: %.20q, %v", tt.values, got, err)
		}
	}
}

// An ECDSA signature has many forms; its key has one identity.
func TestRule04_Identity(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	one, err := verify.Token(sign(t, key, challenge.TokenText(target)), target, window, now)
	two, err2 := verify.Token(sign(t, key, challenge.TokenText(target)), target, window, now)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if pubkey.IDOf(one.Key) != pubkey.IDOf(two.Key) {
		t.Error("one key has two identities")
	}
}

// A time so far ahead that the distance to it is no Duration would be valid for ever.
func TestRule13_TimeFarAhead(t *testing.T) {
	key := gatetest.NewKey(t)
	for _, ts := range []string{"10923372037", "99999999999", "9223371974719179007", "9223372036854775807"} {
		api := "/api/tags?ts=" + ts
		if _, err := verify.API(sign(t, key, challenge.APIText("GET", api)), "GET", api, now); !errors.Is(err, verify.ErrTime) {
			t.Errorf("API request at %s: %v", ts, err)
		}
		url := strings.Replace(target, "ts=1700000000", "ts="+ts, 1)
		if _, err := verify.Token(sign(t, key, challenge.TokenText(url)), url, window, now); !errors.Is(err, verify.ErrTime) {
			t.Errorf("token request at %s: %v", ts, err)
		}
	}
}

func TestRule13_API(t *testing.T) {
	key := gatetest.NewKey(t)
	const target = "/api/tags?ts=1700000000"
	auth := sign(t, key, challenge.APIText("GET", target))
	for _, prefix := range []string{"", "Bearer ", "bearer "} {
		if got, err := verify.API(prefix+auth, "GET", target, now); err != nil || !got.Time.Equal(now) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	for after, ok := range map[time.Duration]bool{60 * time.Second: true, 61 * time.Second: false, -30 * time.Second: true, -31 * time.Second: false} {
		if _, err := verify.API(auth, "GET", target, now.Add(after)); (err == nil) != ok || err != nil && !errors.Is(err, verify.ErrTime) {
			t.Errorf("%v later: %v", after, err)
		}
	}
	for _, tt := range []struct {
		method, target string
		want           error
	}{
		{"POST", target, verify.ErrSignature},
		{"GET", "/api/ps?ts=1700000000", verify.ErrSignature},
		{"GET", "/api/tags?ts=1700000001", verify.ErrSignature},
		{"GET", "/api/tags", verify.ErrForm},
		{"GET", "/api//tags?ts=1700000000", verify.ErrForm},
		{"get", target, verify.ErrForm},
	} {
		if _, err := verify.API(auth, tt.method, tt.target, now); !errors.Is(err, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.method, tt.target, err, tt.want)
		}
	}
	// A token request's signature is none of an API request.
	if _, err := verify.API(sign(t, key, challenge.TokenText("https://r.example"+target)), "GET", target, now); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("a token request: %v", err)
	}
}

func TestRule17_Secret(t *testing.T) {
	key := gatetest.NewKey(t)
	origin, err := challenge.ParseOrigin("https://r.example")
	if err != nil {
		t.Fatal(err)
	}
	for life, ok := range map[time.Duration]bool{time.Second: true, 12 * time.Hour: true, 12*time.Hour + time.Second: false, 0: false, -time.Hour: false} {
		secret, err := challenge.HelperSecret{Origin: origin, Service: "s", Actions: []string{"pull"}, Expires: now.Add(life)}.Sign(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := verify.Secret(secret, now); (err == nil) != ok || err != nil && !errors.Is(err, verify.ErrTime) {
			t.Errorf("%v: %v", life, err)
		}
		changed := secret[:len(secret)-8] + "AAAAAA=="
		if _, _, err := verify.Secret(changed, now); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("a wrong signature: %v", err)
		}
	}
}

func TestRule12_Await(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := verify.Await(t.Context(), start.Add(-time.Hour), start); err != nil || time.Since(start) != 0 {
			t.Errorf("an old request: %v after %v", err, time.Since(start))
		}
		if err := verify.Await(t.Context(), start.Add(20*time.Second), start); err != nil || time.Since(start) != 20*time.Second {
			t.Errorf("a request from the future: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := verify.Await(ctx, time.Now().Add(20*time.Second), time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a client that leaves: %v", err)
		}
	})
}

// FuzzRule03 signs a text of any form and holds that it is accepted for an endpoint
// only if package guard gives it the purpose of that endpoint.
func FuzzRule03(f *testing.F) {
	key := gatetest.NewKey(f)
	f.Add("GET", target)
	f.Add("GET", "/api/tags?ts=1700000000")
	f.Add("POST", "/api/tags?ts=-1")
	f.Add("GET", "/api/%2e%2e/tags?ts=1700000000")
	f.Add("GET", "https://r.example//token?nonce=AAEC&ts=1700000000")
	f.Fuzz(func(t *testing.T, method, target string) {
		far := verify.Window{Past: 1 << 62, Future: 1 << 62}
		text := challenge.TokenText(target)
		_, err := verify.Token(sign(t, key, text), target, far, now)
		if purpose := guard.PurposeOf(text); err == nil && purpose != guard.Registry {
			t.Errorf("accepted as a token request: %q, which is %s", text, purpose)
		}
		text = challenge.APIText(method, target)
		_, err = verify.API(sign(t, key, text), method, target, now)
		purpose := guard.PurposeOf(text)
		if err == nil && purpose != guard.API {
			t.Errorf("accepted as an API request: %q, which is %s", text, purpose)
		}
		if err != nil && purpose == guard.API && !errors.Is(err, verify.ErrTime) {
			t.Errorf("refused: %q: %v", text, err)
		}
	})
}
