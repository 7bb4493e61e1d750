package signertest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A recorder is a testing.TB that may fail.
type recorder struct {
	testing.TB
	found []string
}

func (r *recorder) Error(args ...any) { r.found = append(r.found, fmt.Sprint(args...)) }

func reveals(t *testing.T, key crypto.Signer, v any) bool {
	r := &recorder{TB: t}
	signertest.NoSecret(r, key, v)
	return len(r.found) > 0
}

func TestNoSecret(t *testing.T) {
	key := signertest.NewKey(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	openSSH := string(pem.EncodeToMemory(block))
	pkcs8 := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	text := func(format string, args ...any) error { return fmt.Errorf(format, args...) }
	var array [32]byte
	copy(array[:], key.Seed())

	leaks := map[string]any{
		"the key":                  key,
		"a pointer to it":          &key,
		"its seed":                 key.Seed(),
		"its seed in an array":     array,
		"a string":                 string(key.Seed()),
		"a field":                  struct{ k ed25519.PrivateKey }{key},
		"a field's pointer":        struct{ k *ed25519.PrivateKey }{&key},
		"a pointer's pointer":      &struct{ p any }{&struct{ k *ed25519.PrivateKey }{&key}},
		"a map":                    map[string]any{"k": &array},
		"a slice":                  []any{nil, []any{&key}},
		"PEM in a field":           struct{ pem []byte }{[]byte(openSSH)},
		"hex":                      text("%x", key.Seed()),
		"upper-case hex":           text("%X", key.Seed()),
		"spaced hex":               text("% x", key.Seed()),
		"decimal":                  text("%v", key),
		"Go's syntax":              text("%#v", key.Seed()),
		"a quoted string":          text("parsing %q", key),
		"base64":                   text("%s", base64.StdEncoding.EncodeToString(key)),
		"raw URL base64":           text("%s", base64.RawURLEncoding.EncodeToString(key.Seed())),
		"OpenSSH":                  text("%s", openSSH),
		"OpenSSH, quoted":          text("parsing %q", openSSH),
		"OpenSSH, quoted twice":    text("parsing %q", fmt.Sprintf("%q", openSSH)),
		"PKCS#8":                   text("%s", pkcs8),
		"base64 of a 33rd byte on": text("%s", base64.StdEncoding.EncodeToString(append([]byte{1}, key...))),
		"base64 of a 34th byte on": text("%s", base64.StdEncoding.EncodeToString(append([]byte{1, 2}, key...))),
		"a wrapped error":          fmt.Errorf("outer: %w", &signer.Error{Op: "open", Ref: hex.EncodeToString(key.Seed()), Err: errors.New("x")}),
		"an error's field":         &hidden{cause: text("%x", key.Seed())},
		"JSON numbers":             text("%s", strings.Join(strings.Fields(strings.Trim(fmt.Sprint(key.Seed()), "[]")), ",")),
		"a field behind Format":    shyValue{key},
		"MarshalJSON":              onlyJSON(key.Seed),
		"MarshalText":              onlyText(key.Seed),
		"LogValue":                 onlySlog(key.Seed),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		leaks["only "+verb] = onlyVerb{verb, key.Seed}
	}
	for name, v := range leaks {
		if !reveals(t, key, v) {
			t.Errorf("%s: not found in %#v", name, v)
		}
	}
}

type hidden struct{ cause error }

func (*hidden) Error() string { return "hidden" }

// shyValue hides its field from every method that prints it.
type shyValue struct{ key ed25519.PrivateKey }

func (shyValue) Format(fmt.State, rune)       {}
func (shyValue) LogValue() slog.Value         { return slog.Value{} }
func (shyValue) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

// These leak in one way only. A function holds the key, as it should.
type (
	onlyJSON func() []byte
	onlyText func() []byte
	onlySlog func() []byte
	onlyVerb struct {
		verb string
		seed func() []byte
	}
)

func (f onlyJSON) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "\"%x\"", f()), nil }
func (f onlyJSON) LogValue() slog.Value         { return slog.Value{} }
func (f onlyText) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", f()), nil }
func (f onlyText) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
func (f onlySlog) LogValue() slog.Value         { return slog.AnyValue(f()) }

func (o onlyVerb) Format(s fmt.State, verb rune) {
	if fmt.FormatString(s, verb) == o.verb {
		fmt.Fprintf(s, "%x", o.seed())
	}
}

func TestNoSecretOfOtherKinds(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{rsaKey, ecdsaKey} {
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{key, struct{ k crypto.Signer }{key}, string(pem.EncodeToMemory(block))} {
			if !reveals(t, key, v) {
				t.Errorf("%T: not found in a %T", key, v)
			}
		}
	}
	for _, v := range []any{rsaKey.D, rsaKey.D.String(), rsaKey.D.Text(16), struct{ p any }{rsaKey.Primes[1]}} {
		if !reveals(t, rsaKey, v) {
			t.Errorf("RSA: not found in %v", v)
		}
	}
}

func TestNoSecretIsSilent(t *testing.T) {
	key := signertest.NewKey(t)
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	captured := func() crypto.Signer { return key }
	loop := &struct{ self any }{}
	loop.self = loop
	signertest.NoSecret(t, key, s, &s, sig, key.Public(), captured, struct{ f any }{captured}, nil, loop)
}
