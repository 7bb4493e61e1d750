package challenge

import (
	"errors"
	"net/url"
	"testing"
)

func TestRealmPolicy(t *testing.T) {
	const ok, refused = true, false
	policy := realmPolicy{
		pairs:    append(DefaultRealms(), RealmPair{"registry.example:8443", "https://login.example"}),
		insecure: []string{"registry.lan:5000", "plain.lan"},
	}
	tests := []struct {
		registry, realm string
		want            bool
	}{
		// The same origin, however it is written.
		{"https://r.example/v2/", "https://r.example/v2/token", ok},
		{"https://r.example/v2/", "https://r.example/token?account=a%20b", ok},
		{"https://r.example/v2/", "HTTPS://R.EXAMPLE/token", ok},
		{"https://r.example/v2/", "https://r.example:443/token", ok},
		{"https://r.example:443/v2/", "https://r.example/token", ok},
		{"https://r.example:8443/v2/", "https://r.example:8443/token", ok},
		{"https://[2001:db8::1]/v2/", "https://[2001:0DB8:0:0::1]:443/token", ok},

		// Another origin.
		{"https://r.example/", "https://r.example:8443/token", refused},
		{"https://r.example:8443/", "https://r.example/token", refused},
		{"https://r.example/", "https://evil.example/token", refused},
		{"https://r.example/", "https://example/token", refused},
		{"https://r.example/", "https://sub.r.example/token", refused},
		{"https://r.example/", "https://r.example.evil.example/token", refused},
		{"https://r.example/", "https://evilr.example/token", refused},
		{"https://r.example/", "https://r.example./token", refused},
		{"https://r.example/", "https://r%2eexample/token", refused},
		{"https://r.example/", "https://r.example\\@evil.example/token", refused},
		{"https://r.example/", "https://evil.example\\r.example/token", refused},
		{"https://bücher.example/", "https://xn--bcher-kva.example/token", refused},
		{"https://r.example/", "https://ｒ.example/token", refused},
		{"https://registry.example/", "https://regİstry.example/token", refused}, // lower case: i
		{"https://kit.example/", "https://\u212ait.example/token", refused},      // the Kelvin sign: k
		{"https://r.example/", "https://169.254.169.254/token", refused},
		{"https://r.example/", "https://127.0.0.1/token", refused},

		// Not the form of a realm.
		{"https://r.example/", "https://user@r.example/token", refused},
		{"https://r.example/", "https://r.example:pw@evil.example/token", refused},
		{"https://r.example/", "https://@r.example/token", refused},
		{"https://r.example/", "https://r.example/token#f", refused},
		{"https://r.example/", "https://r.example/token#", refused},
		{"https://r.example/", "https://r.example/token?a;b", refused},
		{"https://r.example/", "https://r.example/token?ts=1", refused},
		{"https://r.example/", "https://r.example/token?nonce=AAAA", refused},
		{"https://r.example/", "/token", refused},
		{"https://r.example/", "//r.example/token", refused},
		{"https://r.example/", "https:r.example/token", refused},
		{"https://r.example/", "https:///token", refused},
		{"https://r.example/", "https://:443/token", refused},
		{"https://r.example/", "ftp://r.example/token", refused},
		{"https://r.example/", "file:///etc/passwd", refused},
		{"https://r.example/", "Registry Realm", refused},
		{"https://r.example/", "https://r.example/\x7f", refused},

		// Plain http.
		{"https://r.example/", "http://r.example/token", refused},
		{"https://r.example/", "http://r.example:443/token", refused},
		{"https://127.0.0.1/", "http://127.0.0.1/token", refused},
		{"http://r.example/", "http://r.example/token", refused},
		{"http://127.0.0.1:5000/", "http://127.0.0.1:5000/token", ok},
		{"http://localhost:5000/", "http://localhost:5000/token", ok},
		{"http://[::1]:5000/", "http://[::1]:5000/token", ok},
		{"http://127.0.0.1:5000/", "http://127.0.0.1:6000/token", refused},
		{"http://127.0.0.1:5000/", "http://localhost:5000/token", refused},
		{"http://registry.lan:5000/", "http://registry.lan:5000/token", ok},
		{"http://plain.lan/", "http://plain.lan:80/token", ok},
		{"http://plain.lan:81/", "http://plain.lan:81/token", refused},
		{"http://registry.lan:5000/", "http://evil.lan/token", refused},

		// Listed pairs, and a listed realm for a registry that has no pair with it.
		{"https://registry.ollama.ai/v2/", "https://ollama.com/token", ok},
		{"https://hf.co/v2/", "https://huggingface.co/v2/token", ok},
		{"https://registry.example:8443/v2/", "https://login.example/token", ok},
		{"https://registry.example/v2/", "https://login.example/token", refused},
		{"https://evil.example/v2/", "https://ollama.com/token", refused},
		{"https://ollama.com/v2/", "https://registry.ollama.ai/token", refused},
		{"https://registry.ollama.ai/v2/", "http://ollama.com/token", refused},
		{"https://registry.ollama.ai/v2/", "https://ollama.com.evil.example/token", refused},
		{"https://registry.ollama.ai/v2/", "https://ollama.com:444/token", refused},
	}
	for _, tt := range tests {
		registry, err := url.Parse(tt.registry)
		if err != nil {
			t.Fatal(err)
		}
		u, err := policy.check(registry, tt.realm)
		if tt.want != (err == nil) {
			t.Errorf("registry %s, realm %q: %v, want ok=%v", tt.registry, tt.realm, err, tt.want)
		}
		if err != nil && !errors.Is(err, ErrRealm) {
			t.Errorf("registry %s, realm %q: %v is not ErrRealm", tt.registry, tt.realm, err)
		}
		if err == nil && u == nil {
			t.Errorf("registry %s, realm %q: no URL", tt.registry, tt.realm)
		}
	}
}

func TestRealmPairIsMalformed(t *testing.T) {
	registry := &url.URL{Scheme: "https", Host: "r.example"}
	for _, pair := range []RealmPair{
		{"https://r.example/v2/", "https://login.example"},
		{"https://r.example", "https://login.example?x=1"},
		{"", "https://login.example"},
	} {
		_, err := realmPolicy{pairs: []RealmPair{pair}}.check(registry, "https://login.example/token")
		if err == nil {
			t.Errorf("%v: no error", pair)
		}
	}
}

func TestNoPairs(t *testing.T) {
	c := &Client{Realms: []RealmPair{}}
	registry := &url.URL{Scheme: "https", Host: "registry.ollama.ai"}
	if _, err := c.policy().check(registry, "https://ollama.com/token"); !errors.Is(err, ErrRealm) {
		t.Errorf("an empty list allows a shipped pair: %v", err)
	}
}

func TestCheckPlain(t *testing.T) {
	c := &Client{Insecure: []string{"registry.lan:5000"}}
	for text, want := range map[string]error{
		"https://ollama.com":       nil,
		"http://127.0.0.1:5000":    nil,
		"http://localhost":         nil,
		"http://REGISTRY.lan:5000": nil,
		"http://registry.lan":      ErrRealm,
		"http://ollama.com":        ErrRealm,
		"http:///":                 ErrRealm,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckPlain(u); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}
