package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/signer"
)

// keys are one key of each kind that can sign.
func keys(t testing.TB) map[string]signer.Signer {
	t.Helper()
	all := map[string]signer.Signer{"Ed25519": gatetest.NewKey(t)}
	add := func(name string, key crypto.Signer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := signer.New(key)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = s
	}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		add(name, key, err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	add("RSA", key, err)
	return all
}

// A siteOfTest is a site with its files.
type siteOfTest struct {
	site          config.Site
	root, signing signer.Signer
	rootPEM       []byte
}

// Open implements [signer.Backend].
func (s *siteOfTest) Open(context.Context, string) (signer.Signer, error) {
	if s.signing == nil {
		return nil, signer.ErrNotFound
	}
	return s.signing, nil
}

func newSite(t testing.TB, root, signing signer.Signer) *siteOfTest {
	t.Helper()
	origin, err := challenge.ParseOrigin("https://reg.example")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &siteOfTest{root: root, signing: signing, site: config.Site{Origin: origin, Tokens: config.Tokens{
		Root: filepath.Join(dir, "root"), Certificate: filepath.Join(dir, "leaf"), SigningKey: "test:key", Lifetime: 5 * time.Minute,
	}}}
	if s.rootPEM, err = token.NewRoot(t.Context(), root, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	write(t, s.site.Tokens.Root, s.rootPEM)
	s.writeLeaf(t, time.Now())
	return s
}

func (s *siteOfTest) writeLeaf(t testing.TB, at time.Time) {
	t.Helper()
	roots, err := token.ParseCertificates(s.rootPEM)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := token.NewLeaf(t.Context(), roots[0], s.root, s.signing.PublicKey(), at)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.site.Tokens.Certificate, leaf)
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, s *siteOfTest) *token.Store {
	t.Helper()
	store, err := token.Open(s.site, s)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

var access = []scope.Access{{Type: "repository", Name: "a/b", Actions: []string{"pull"}}}

func sign(t testing.TB, store *token.Store, now time.Time) string {
	t.Helper()
	raw, _, err := store.Sign(t.Context(), token.Claims{Subject: "alice", Key: "SHA256:x", Access: access}, now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRule14_EveryKindOfSigningKey(t *testing.T) {
	for name, signing := range keys(t) {
		for rootName, root := range keys(t) {
			if rootName != "Ed25519" && rootName != "RSA" && rootName != "P-256" {
				continue
			}
			store := open(t, newSite(t, root, signing))
			raw := sign(t, store, time.Now())
			claims, err := store.Verify(raw, time.Now())
			if err != nil {
				t.Errorf("%s under %s: %v", name, rootName, err)
				continue
			}
			if diff := cmp.Diff(access, claims.Access); diff != "" || claims.Subject != "alice" || claims.Key != "SHA256:x" ||
				claims.Issuer != "https://reg.example" || claims.Audience != "reg.example" || claims.ID == "" {
				t.Errorf("%s under %s: got %+v", name, rootName, claims)
			}
		}
	}
}

func TestVerifyTime(t *testing.T) {
	now := time.Now()
	store := open(t, newSite(t, gatetest.NewKey(t), gatetest.NewKey(t)))
	raw := sign(t, store, now)
	for after, ok := range map[time.Duration]bool{0: true, 299 * time.Second: true, 300 * time.Second: false, -9 * time.Second: true, -11 * time.Second: false} {
		if _, err := store.Verify(raw, now.Truncate(time.Second).Add(after)); (err == nil) != ok || err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%v later: %v", after, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	now := time.Now()
	site := newSite(t, gatetest.NewKey(t), gatetest.NewKey(t))
	store := open(t, site)
	raw := sign(t, store, now)
	other := open(t, newSite(t, gatetest.NewKey(t), gatetest.NewKey(t)))
	parts := strings.Split(raw, ".")
	claims := strings.Replace(string(decode(t, parts[1])), "pull", "push", 1)
	none := `{"alg":"none"}`
	for name, text := range map[string]string{
		"":              "",
		"other root":    sign(t, other, now),
		"other content": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2],
		"no signature":  parts[0] + "." + parts[1] + ".",
		"alg none":      base64.RawURLEncoding.EncodeToString([]byte(none)) + "." + parts[1] + ".",
		"no x5c":        bare(t),
		"HS256":         symmetric(t),
		"cut":           raw[:len(raw)-4],
	} {
		if claims, err := store.Verify(text, now); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: got %+v, %v", name, claims, err)
		} else if text != "" && strings.Contains(err.Error(), text[:min(len(text), 20)]) {
			t.Errorf("%s: the error repeats the token", name)
		}
	}
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bare returns a token whose header does not have a certificate.
func bare(t testing.TB) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return serialize(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: private})
}

func symmetric(t testing.TB) string {
	t.Helper()
	return serialize(t, jose.SigningKey{Algorithm: jose.HS256, Key: make([]byte, 32)})
}

func serialize(t testing.TB, key jose.SigningKey) string {
	t.Helper()
	s, err := jose.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(token.Claims{Issuer: "https://reg.example", Audience: "reg.example", Expires: jwt.NewNumericDate(time.Now().Add(time.Hour))}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A token that was verified before is refused when the root is not trusted any more.
func TestVerifyForgetsWithTheRoot(t *testing.T) {
	site := newSite(t, gatetest.NewKey(t), gatetest.NewKey(t))
	store := open(t, site)
	raw := sign(t, store, time.Now())
	for range 2 {
		if _, err := store.Verify(raw, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	write(t, site.site.Tokens.Root, newSite(t, gatetest.NewKey(t), gatetest.NewKey(t)).rootPEM)
	for _, f := range store.Files() {
		f.Reload()
	}
	if _, err := store.Verify(raw, time.Now()); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestRule14_ReloadOfTheLeaf(t *testing.T) {
	site := newSite(t, gatetest.NewKey(t), gatetest.NewKey(t))
	store := open(t, site)
	first := store.Issuer()
	reload := func() {
		for _, f := range store.Files() {
			f.Reload()
		}
	}
	old := site.signing
	site.signing = gatetest.NewKey(t)
	site.writeLeaf(t, time.Now())
	site.signing = old // the certificate comes before its key
	reload()
	if store.Issuer() != first || store.Files()[1].Err() == nil {
		t.Errorf("a certificate without its key is used, %v", store.Files()[1].Err())
	}
	site.signing = gatetest.NewKey(t)
	site.writeLeaf(t, time.Now())
	reload()
	if store.Issuer() == first || store.Files()[1].Err() != nil {
		t.Errorf("the new key is not used: %v", store.Files()[1].Err())
	}
}

func TestSignEndsWithTheCertificate(t *testing.T) {
	site := newSite(t, gatetest.NewKey(t), gatetest.NewKey(t))
	site.writeLeaf(t, time.Now().Add(-token.LeafLifetime+time.Minute))
	store := open(t, site)
	_, claims, err := store.Sign(t.Context(), token.Claims{}, time.Now())
	if err != nil || claims.Expires.Time().After(store.Issuer().Expires()) {
		t.Errorf("%+v, %v", claims, err)
	}
	if _, _, err := store.Sign(t.Context(), token.Claims{}, time.Now().Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "countersignd rotate") {
		t.Errorf("with a certificate that has ended: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	root, other := gatetest.NewKey(t), gatetest.NewKey(t)
	site := newSite(t, root, gatetest.NewKey(t))
	all, err := token.ParseCertificates(site.rootPEM)
	if err != nil {
		t.Fatal(err)
	}
	if !all[0].IsCA || all[0].MaxPathLen != 0 || all[0].KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the root: %+v", all[0])
	}
	if _, err := token.NewLeaf(t.Context(), all[0], other, other.PublicKey(), time.Now()); err == nil {
		t.Error("a leaf that another key than the root's signed")
	}
	data, err := os.ReadFile(site.site.Tokens.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := token.ParseCertificates(data)
	if err != nil || leaf[0].IsCA {
		t.Errorf("the leaf: %+v, %v", leaf, err)
	}
	for _, text := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := token.ParseCertificates([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// Every RSA key signs with SHA-512, also one whose store has no other hash.
func TestCertificateOfAnRSAKey(t *testing.T) {
	pem, err := token.NewRoot(t.Context(), keys(t)["RSA"], "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	all, err := token.ParseCertificates(pem)
	if err != nil {
		t.Fatal(err)
	}
	if got := all[0].SignatureAlgorithm; got != x509.SHA512WithRSA {
		t.Errorf("the root certificate has a signature with %v", got)
	}
}
