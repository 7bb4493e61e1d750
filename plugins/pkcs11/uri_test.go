package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/signer"
)

func TestParseURI(t *testing.T) {
	slot := uint(7)
	for name, want := range map[string]keyURI{
		"ollama":                         {object: "ollama"},
		"pkcs11:object=a%20b;token=t%3B": {object: "a b", token: "t;"},
		"token=t;id=%01%02;type=private;serial=1;manufacturer=m;model=x;slot-id=7": {
			token: "t", id: "\x01\x02", serial: "1", manufacturer: "m", model: "x", slot: &slot,
		},
		"object=a?pin-source=file:/run/pin&module-path=/usr/lib/m.so": {object: "a", pinFile: "/run/pin", modulePath: "/usr/lib/m.so"},
		"object=a?pin-source=file:///run/pin":                         {object: "a", pinFile: "/run/pin"},
	} {
		got, err := parseURI(name)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(keyURI{})); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// FuzzParseURI holds that a listed name opens as the key that it names.
func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{"ollama", "token=t;object=o;id=%01", "object=%C3%A4%20;token=a%3Fb", "object=a?module-path=/m", "=;=", "object", "?", "object=a;;", "pkcs11:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		u, err := parseURI(name)
		if err != nil {
			if !errors.Is(err, signer.ErrName) {
				t.Errorf("error %v", err)
			}
			return
		}
		if u.object == "" && u.id == "" {
			t.Error("no key is named")
		}
		again, err := parseURI(u.path())
		want := keyURI{token: u.token, object: u.object, id: u.id}
		if diff := cmp.Diff(want, again, cmp.AllowUnexported(keyURI{})); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", u.path(), err, diff)
		}
	})
}
