package challenge_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

func helperKey(t testing.TB) signer.Signer {
	t.Helper()
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func helperSecret(t testing.TB) challenge.HelperSecret {
	t.Helper()
	origin, err := challenge.ParseOrigin("https://registry.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return challenge.HelperSecret{
		Origin: origin, Service: "registry.example.com", Actions: []string{"push", "pull"},
		Expires: time.Unix(1700003600, 0), ID: "AAECAwQFBgcICQoLDA0ODw",
	}
}

func TestHelperSecret(t *testing.T) {
	key, want := helperKey(t), helperSecret(t)
	secret, err := want.Sign(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	got, text, sig, err := challenge.ParseHelperSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	const signed = "COUNTERSIGN-SECRET,https://registry.example.com?actions=pull%2Cpush&expires=1700003600&id=AAECAwQFBgcICQoLDA0ODw" +
		"&key=SHA256%3AtAXFyTXI8xtDaujAEcwJslAYc9%2F6FKcUkd2Lw0xDhPo&service=registry.example.com"
	if string(text) != signed {
		t.Errorf("the text is %s, want %s", text, signed)
	}
	if err := sig.Verify(text); err != nil {
		t.Error(err)
	}
	if challenge.HelperSecretLifetime != time.Hour || challenge.MaxHelperSecretLifetime != 12*time.Hour {
		t.Error("the lifetimes are not those of the documentation")
	}
	if p := guard.PurposeOf(text); p != guard.Helper {
		t.Errorf("the purpose is %s", p)
	}
	want.Actions = []string{"pull", "push"}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b challenge.Origin) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHelperSecretSignRefuses(t *testing.T) {
	key := helperKey(t)
	for name, change := range map[string]func(*challenge.HelperSecret){
		"no origin":      func(h *challenge.HelperSecret) { h.Origin = challenge.Origin{} },
		"no service":     func(h *challenge.HelperSecret) { h.Service = "" },
		"no actions":     func(h *challenge.HelperSecret) { h.Actions = nil },
		"unknown action": func(h *challenge.HelperSecret) { h.Actions = []string{"*"} },
		"action twice":   func(h *challenge.HelperSecret) { h.Actions = []string{"pull", "pull"} },
		"no end":         func(h *challenge.HelperSecret) { h.Expires = time.Time{} },
		"malformed id":   func(h *challenge.HelperSecret) { h.ID = "x" },
	} {
		h := helperSecret(t)
		change(&h)
		if secret, err := h.Sign(t.Context(), key); err == nil {
			t.Errorf("%s: got %s", name, secret)
		}
	}
	h := helperSecret(t)
	h.ID = ""
	first, err := h.Sign(t.Context(), key)
	second, err2 := h.Sign(t.Context(), key)
	if err := errors.Join(err, err2); err != nil || first == second {
		t.Errorf("two secrets have one id: %v", err)
	}
}

// FuzzParseHelperSecret holds that each secret that can be read has a text that package
// guard knows, and is the only one with its fields.
func FuzzParseHelperSecret(f *testing.F) {
	key := helperKey(f)
	secret, err := helperSecret(f).Sign(f.Context(), key)
	if err != nil {
		f.Fatal(err)
	}
	encoded, auth, _ := strings.Cut(secret, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(strings.Replace(string(text), "registry.example.com", "[::1]:5000", 1))
	f.Fuzz(func(t *testing.T, text string) {
		h, read, _, err := challenge.ParseHelperSecret(base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + auth)
		if err != nil {
			return
		}
		if string(read) != text {
			t.Errorf("%q was read as %q", text, read)
		}
		if p := guard.PurposeOf(read); p != guard.Helper {
			t.Errorf("PurposeOf(%q) = %s", text, p)
		}
		again, err := h.Sign(t.Context(), key)
		if encoded, _, _ := strings.Cut(again, "."); err != nil || encoded != base64.RawURLEncoding.EncodeToString([]byte(text)) {
			t.Errorf("%q has a second form, %v", text, err)
		}
	})
}

func ExampleHelperSecret() {
	origin, err := challenge.ParseOrigin("https://registry.example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		fmt.Println(err)
		return
	}
	secret, err := challenge.HelperSecret{
		Origin: origin, Service: "registry.example.com", Actions: []string{"pull"},
		Expires: time.Now().Add(challenge.HelperSecretLifetime),
	}.Sign(context.Background(), key)
	if err != nil {
		fmt.Println(err)
		return
	}
	read, text, signature, err := challenge.ParseHelperSecret(secret)
	fmt.Println(read.Origin, read.Actions, signature.Verify(text), err)
	// Output: https://registry.example.com [pull] <nil> <nil>
}
