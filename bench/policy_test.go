package main

import (
	"io"
	"strings"
	"testing"
)

// visit makes one request to p. It may fail: what went where is what counts.
func (p *stubRegistry) visit(t *testing.T, c client) {
	for _, err := range c.connect(t, p.site(t))(t.Context(), repo, 1) {
		t.Logf("%.300v", err)
	}
}

// A policy is a behaviour towards other servers, as flow is towards one.
type policy struct {
	name string
	run  func(t *testing.T, c client) (result string, right bool)
}

func policies() []policy {
	return []policy{
		{"https registry with an http realm", realmAt("http://registry.test/token")},
		{"realm on another host", realmAt("https://other.test/token")},
		{"realm on another port", realmAt("https://registry.test:8443/token")},
		{"token on a redirect to http", redirectTo("http://registry.test/elsewhere")},
		{"token on a redirect to a subdomain", redirectTo("https://cdn.registry.test/elsewhere")},
		{"token on a redirect to another port", redirectTo("https://registry.test:8443/elsewhere")},
		{"read of a token reply that does not end", endless},
	}
}

// TestPolicies holds ours to every result, and logs how the peers fare.
func TestPolicies(t *testing.T) {
	for _, p := range policies() {
		for _, c := range clients() {
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				result, right := p.run(t, c)
				t.Log(result)
				if c.name == ours && !right {
					t.Error("this is not what countersign promises")
				}
			})
		}
	}
}

func realmAt(realm string) func(*testing.T, client) (string, bool) {
	return func(t *testing.T, c client) (string, bool) {
		if c.name == ollamaX {
			return "-", false // its server checks, in a package that cannot be imported
		}
		p := &stubRegistry{realm: realm}
		p.visit(t, c)
		if len(p.went) > 0 {
			return "asked", false
		}
		return "refused", true
	}
}

func redirectTo(target string) func(*testing.T, client) (string, bool) {
	return func(t *testing.T, c client) (string, bool) {
		p := &stubRegistry{realm: stubURL + "/token", redirect: target}
		p.visit(t, c)
		for _, req := range p.went {
			if req.Header.Get("Authorization") != "" {
				return "sent", false
			}
		}
		if len(p.went) == 0 {
			return "not followed", true
		}
		return "kept back", true
	}
}

func endless(t *testing.T, c client) (string, bool) {
	if c.name == ollamaX {
		return "-", false
	}
	reply := &zeros{most: 8 << 20}
	p := &stubRegistry{realm: stubURL + "/token", token: io.MultiReader(strings.NewReader(`{"token":"`), reply)}
	p.visit(t, c)
	if reply.read == reply.most {
		return "no limit", false
	}
	return "limited", true
}

// zeros are the digit, so many of them.
type zeros struct{ read, most int }

func (z *zeros) Read(b []byte) (int, error) {
	n := min(len(b), z.most-z.read)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		b[i] = '0'
	}
	z.read += n
	return n, nil
}
