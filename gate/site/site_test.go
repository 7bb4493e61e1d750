package site_test

import (
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/site"
)

func TestBearer(t *testing.T) {
	for text, want := range map[string]string{
		"Bearer a.b.c": "a.b.c", "bearer a": "a", "Bearer ": "", "Bearer": "", "Basic a": "", "Bearer key:signature": "", "a.b.c": "", "": "",
	} {
		got, ok := site.Bearer(text)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

func TestChallenge(t *testing.T) {
	origin, err := challenge.ParseOrigin("https://reg.example")
	if err != nil {
		t.Fatal(err)
	}
	c := &site.Call{Site: &site.Site{Config: config.Site{Origin: origin}}, Request: front.Request{Origin: "https://reg.example:443"}}
	const base = `Bearer realm="https://reg.example:443/token",service="reg.example"`
	for _, tt := range []struct{ scope, reason, want string }{
		{"", "", base},
		{"a:b:c", "", base + `,scope="a:b:c"`},
		{"", "invalid_token", base + `,error="invalid_token"`},
		{"a:b:c", "insufficient_scope", base + `,scope="a:b:c",error="insufficient_scope"`},
	} {
		if got := c.Challenge(tt.scope, tt.reason); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
