package challenge_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// CheckRealm says what Token would, and leaves the key alone.
func TestCheckRealm(t *testing.T) {
	c := &challenge.Client{Key: func(context.Context, *url.URL) (signer.Signer, error) {
		t.Error("the key was asked for")
		return nil, signer.ErrNotFound
	}}
	origin, err := url.Parse("https://registry.example.com/v2/")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		scheme, realm string
		want          error
	}{
		{"bearer", "https://registry.example.com/token", nil},
		{"bearer", "https://evil.example/token", challenge.ErrRealm},
		{"bearer", "", challenge.ErrNoChallenge},
		{"basic", "registry", challenge.ErrNoChallenge},
	} {
		ch := challenge.Challenge{Scheme: tt.scheme, Params: []challenge.Param{{Name: "realm", Value: tt.realm}}}
		err := c.CheckRealm(ch, origin)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s %q: got %v, want %v", tt.scheme, tt.realm, err, tt.want)
		}
		if err == nil {
			continue
		}
		if _, tokenErr := c.Token(t.Context(), ch, origin); tokenErr == nil || tokenErr.Error() != err.Error() {
			t.Errorf("Token says %v, CheckRealm %v", tokenErr, err)
		}
	}
}
