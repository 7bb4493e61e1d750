package challenge

import (
	"errors"
	"net/url"
	"testing"
)

func TestRealmPolicy(t *testing.T) {
	const ok, refused = true, false
	policy := Policy{
		Pairs:    append(DefaultRealms(), RealmPair{mustOrigin(t, "registry.example:8443"), mustOrigin(t, "https://login.example")}),
		Insecure: []Origin{mustOrigin(t, "http://registry.lan:5000"), mustOrigin(t, "http://plain.lan")},
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
		origin, err := OriginOf(registry)
		if err != nil {
			t.Fatal(err)
		}
		u, err := policy.CheckRealm(origin, tt.realm)
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

// TestPlainHTTPOfPairs: a pair in the list does not allow plain http by itself.
func TestPlainHTTPOfPairs(t *testing.T) {
	for _, tt := range []struct {
		registry, realm string
		insecure        string
		want            bool
	}{
		{"https://r.example", "http://login.example", "", false},
		{"https://r.example", "http://login.example", "http://r.example", false},
		{"https://r.example:5000", "http://r.example:5000", "http://r.example:5000", false},
		{"https://127.0.0.1:5000", "http://127.0.0.1:6000", "", false},
		{"http://127.0.0.1:5000", "http://login.example", "", false},
		{"http://login.example", "http://127.0.0.1:5000", "", false},
		{"http://127.0.0.1:5000", "http://127.0.0.1:6000", "", true},
		{"http://localhost:5000", "http://[::1]:6000", "", true},
		{"http://r.example", "http://login.example", "", false},
		{"http://r.example", "http://login.example", "http://login.example", false},
		{"http://r.example", "http://login.example", "http://r.example", true},
		{"http://r.example:81", "http://login.example", "http://r.example", false},
		{"http://r.example", "https://login.example", "", true},
	} {
		p := Policy{Pairs: []RealmPair{{mustOrigin(t, tt.registry), mustOrigin(t, tt.realm)}}}
		if tt.insecure != "" {
			p.Insecure = []Origin{mustOrigin(t, tt.insecure)}
		}
		_, err := p.CheckRealm(mustOrigin(t, tt.registry), tt.realm+"/token")
		if (err == nil) != tt.want || err != nil && !errors.Is(err, ErrRealm) {
			t.Errorf("registry %s, realm %s, insecure %q: %v, want ok=%v", tt.registry, tt.realm, tt.insecure, err, tt.want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for text, want := range map[string]bool{
		"http://localhost":                true,
		"http://LOCALHOST:5000":           true,
		"http://127.0.0.1":                true,
		"http://127.255.255.254":          true,
		"http://[::1]":                    true,
		"http://[::ffff:127.0.0.1]":       true,
		"http://[0:0:0:0:0:0:0:1]":        true,
		"http://[::ffff:7f00:1]":          true,
		"http://app.localhost":            false,
		"http://localhost.":               false,
		"http://localhost.example":        false,
		"http://notlocalhost":             false,
		"http://localhost.localdomain":    false,
		"http://ip6-localhost":            false,
		"http://0.0.0.0":                  false,
		"http://[::]":                     false,
		"http://10.0.0.1":                 false,
		"http://172.16.0.1":               false,
		"http://192.168.1.1":              false,
		"http://169.254.169.254":          false,
		"http://100.64.0.1":               false,
		"http://128.0.0.1":                false,
		"http://126.255.255.255":          false,
		"http://[fd00::1]":                false,
		"http://[fe80::1]":                false,
		"http://[::ffff:192.168.1.1]":     false,
		"http://[::127.0.0.1]":            false,
		"http://[64:ff9b::127.0.0.1]":     false,
		"http://127.1":                    false,
		"http://127.0.0.1.":               false,
		"http://127.0.0.1.example":        false,
		"http://2130706433":               false,
		"http://0x7f000001":               false,
		"http://0177.0.0.1":               false,
		"http://\uff4cocalhost":           false,
		"http://registry.localhost:11434": false,
	} {
		o := mustOrigin(t, text)
		if got := o.isLoopback(); got != want {
			t.Errorf("%s: isLoopback = %v, want %v", text, got, want)
		}
		if err := (Policy{}).CheckPlain(o); (err == nil) != want {
			t.Errorf("%s: CheckPlain = %v, want ok=%v", text, err, want)
		}
	}
}

func TestIsUpgradedTo(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"http://r.example", "https://r.example", true},
		{"http://[::1]", "https://[::1]", true},
		{"http://r.example", "https://other.example", false},
		{"http://r.example", "https://www.r.example", false},
		{"http://r.example", "https://r.example.", false},
		{"http://r.example:8080", "https://r.example", false},
		{"http://r.example:443", "https://r.example", false},
		{"http://r.example", "https://r.example:8443", false},
		{"http://r.example", "https://r.example:80", false},
		{"http://r.example:8080", "https://r.example:8443", false},
		{"http://r.example:5000", "https://r.example:5000", false},
		{"https://r.example", "https://r.example", false},
		{"https://r.example", "http://r.example", false},
		{"http://r.example", "http://r.example", false},
		{"https://r.example:80", "https://r.example", false},
		{"http://r.example", "http://r.example:443", false},
	} {
		if got := mustOrigin(t, tt.from).isUpgradedTo(mustOrigin(t, tt.to)); got != tt.want {
			t.Errorf("%s to %s: got %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
}

func mustOrigin(t *testing.T, text string) Origin {
	t.Helper()
	o, err := ParseOrigin(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return o
}

func TestPolicyPairs(t *testing.T) {
	registry := mustOrigin(t, "https://registry.ollama.ai")
	const realm = "https://ollama.com/token"
	if _, err := (Policy{}).CheckRealm(registry, realm); err != nil {
		t.Errorf("the zero value refuses a default pair: %v", err)
	}
	for name, p := range map[string]Policy{
		"an empty list":   {Pairs: []RealmPair{}},
		"a pair of zeros": {Pairs: []RealmPair{{}}},
		"half a pair":     {Pairs: []RealmPair{{Registry: registry}, {Realm: mustOrigin(t, "https://ollama.com")}}},
	} {
		for _, from := range []Origin{registry, {}} {
			if _, err := p.CheckRealm(from, realm); !errors.Is(err, ErrRealm) {
				t.Errorf("%s: registry %q: %v, want ErrRealm", name, from, err)
			}
		}
	}
}

func TestCheckPlain(t *testing.T) {
	p := Policy{Insecure: []Origin{mustOrigin(t, "http://registry.lan:5000"), mustOrigin(t, "https://secure.lan")}}
	for text, want := range map[string]error{
		"https://ollama.com":       nil,
		"http://127.0.0.1:5000":    nil,
		"http://localhost":         nil,
		"http://REGISTRY.lan:5000": nil,
		"http://registry.lan":      ErrRealm,
		"http://ollama.com":        ErrRealm,
		"http://secure.lan":        ErrRealm,
	} {
		if err := p.CheckPlain(mustOrigin(t, text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}
