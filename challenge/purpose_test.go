package challenge

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

// FuzzTokenRequestPurpose ties package guard, which recognises the texts of Ollama, to
// wire.go, which writes them.
func FuzzTokenRequestPurpose(f *testing.F) {
	f.Add("https://r.example/v2/token?account=a+b", "s", "repository:a:pull repository:b:push", int64(1700000000))
	f.Add("http://127.0.0.1:5000", "", "", int64(0))
	f.Add("https://[::00:1]:0443/token", "", "", int64(1))
	f.Add("http://R.example:80/", "", "", int64(1))
	f.Add("https://r.example/to%2Fken%20x/../", "\u00e9&=#", "a,b", int64(1))
	f.Fuzz(func(t *testing.T, realm, service, scope string, ts int64) {
		u, err := url.Parse(realm)
		if err != nil {
			return
		}
		registry, err := OriginOf(u)
		if err != nil {
			return
		}
		p := Policy{Insecure: []Origin{registry}}
		if u, err = p.CheckRealm(registry, realm); err != nil {
			return
		}
		text := TokenText(tokenURL(u, service, scope, time.Unix(ts&0xffffffff, 0), newNonce()))
		if got := guard.PurposeOf(text); got != guard.Registry {
			t.Errorf("PurposeOf(%q) = %s, want %s", text, got, guard.Registry)
		}
		if origin, err := OriginOf(u); err == nil && len(origin.String()) < 300 && guard.AudienceOf(text) != origin.String() {
			t.Errorf("AudienceOf(%q) = %q, want %q", text, guard.AudienceOf(text), origin)
		}
	})
}

// FuzzAPIRequestPurpose does the same for requests to the API. Paths that servers read
// in different ways are not among them.
func FuzzAPIRequestPurpose(f *testing.F) {
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("https://ollama.com/api/tags?b=2&a=%20", int64(1700000000))
	f.Add("https://ollama.com/v1/models/a%2Fb", int64(1))
	f.Fuzz(func(t *testing.T, target string, ts int64) {
		u, err := url.Parse(target)
		if err != nil || u.Opaque != "" || u.Path != "" && path.Clean(u.Path) != u.Path ||
			!utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == ';' }) ||
			u.Path != "" && u.EscapedPath()[0] != '/' {
			return
		}
		var text []byte
		key := signer.Func(pub, func(_ context.Context, msg []byte) (*ssh.Signature, error) {
			text = msg
			return nil, signer.ErrDenied
		})
		req := &http.Request{Method: http.MethodPost, URL: u}
		if err := signRequest(t.Context(), key, req, time.Unix(ts&0xffffffff, 0)); !errors.Is(err, signer.ErrDenied) {
			return // its query is malformed
		}
		if got := guard.PurposeOf(text); got != guard.API {
			t.Errorf("PurposeOf(%q) = %s, want %s", text, got, guard.API)
		}
	})
}
