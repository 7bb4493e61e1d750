//lint:file-ignore SA1019 the tests try that DSA keys are refused

package challenge

import (
	"bytes"
	"context"
	"crypto"
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

var signedText = []byte("POST,/api/me?ts=1700000000")

// newKeys returns a key of each type that the format carries.
func newKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	keys := map[string]crypto.Signer{"ed25519": ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys["rsa"] = key
	return keys
}

func TestSignOfEveryKeyType(t *testing.T) {
	for name, private := range newKeys(t) {
		key, err := signer.New(private)
		if err != nil {
			t.Fatal(err)
		}
		value, err := Sign(t.Context(), key, signedText)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wire, _, _ := strings.Cut(value, ":")
		if want := base64.StdEncoding.EncodeToString(key.PublicKey().Marshal()); wire != want {
			t.Errorf("%s: the key is %s, want %s", name, wire, want)
		}
		pub, err := Verify(value, signedText)
		if err != nil {
			t.Errorf("%s: Verify: %v", name, err)
			continue
		}
		if !bytes.Equal(pub.Marshal(), key.PublicKey().Marshal()) {
			t.Errorf("%s: Verify returns another key", name)
		}
		if _, err := Verify(value, signedText[1:]); err == nil {
			t.Errorf("%s: Verify accepts another text", name)
		}
	}
}

// fakeKey is a public key of another type.
type fakeKey struct {
	ssh.PublicKey
	kind string
}

func (k fakeKey) Type() string { return k.kind }

func TestSignRefusesOtherKeyTypes(t *testing.T) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.CertAlgoED25519v01, ssh.CertAlgoRSAv01, ssh.InsecureKeyAlgoDSA, "",
	} {
		s := signer.Func(fakeKey{key, kind}, func(context.Context, []byte) (*ssh.Signature, error) {
			t.Errorf("%s: the key signed", kind)
			return &ssh.Signature{Format: kind}, nil
		})
		if value, err := Sign(t.Context(), s, signedText); !errors.Is(err, signer.ErrUnsupported) || value != "" {
			t.Errorf("%s: got %q, %v, want ErrUnsupported", kind, value, err)
		}
	}
}

// A fixedSignature is a signer whose signature nobody has verified.
type fixedSignature struct {
	pub ssh.PublicKey
	sig ssh.Signature
}

func (s fixedSignature) PublicKey() ssh.PublicKey { return s.pub }

func (s fixedSignature) Sign(context.Context, []byte) (*ssh.Signature, error) { return &s.sig, nil }

func TestSignRefusesOtherSignatureFormats(t *testing.T) {
	for name, private := range newKeys(t) {
		sshKey, err := ssh.NewSignerFromSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{ssh.KeyAlgoRSA, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoSKED25519, ssh.CertAlgoED25519v01, ""} {
			s := fixedSignature{sshKey.PublicKey(), ssh.Signature{Format: format, Blob: make([]byte, 64)}}
			if value, err := Sign(t.Context(), s, signedText); !errors.Is(err, signer.ErrUnsupported) || value != "" {
				t.Errorf("%s: format %q: got %q, %v, want ErrUnsupported", name, format, value, err)
			}
		}
	}
}

func TestSignPassesOnErrors(t *testing.T) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	s := signer.Func(key, func(context.Context, []byte) (*ssh.Signature, error) { return nil, signer.ErrLocked })
	if value, err := Sign(t.Context(), s, signedText); !errors.Is(err, signer.ErrLocked) || value != "" {
		t.Errorf("got %q, %v, want ErrLocked", value, err)
	}
}

func authorization(pub ssh.PublicKey, blob []byte) string {
	return base64.StdEncoding.EncodeToString(pub.Marshal()) + ":" + base64.StdEncoding.EncodeToString(blob)
}

// TestVerifyRefusesDSA: x/crypto verifies these signatures.
func TestVerifyRefusesDSA(t *testing.T) {
	var private dsa.PrivateKey
	if err := dsa.GenerateParameters(&private.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(&private, rand.Reader); err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(&private)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(rand.Reader, signedText)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PublicKey().Verify(signedText, sig); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(authorization(s.PublicKey(), sig.Blob), signedText); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

// TestVerifyRefusesOtherRSAHashes: the format means SHA-512.
func TestVerifyRefusesOtherRSAHashes(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, want := range map[string]bool{ssh.KeyAlgoRSASHA512: true, ssh.KeyAlgoRSASHA256: false, ssh.KeyAlgoRSA: false} {
		sig, err := s.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, signedText, algorithm)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(authorization(s.PublicKey(), sig.Blob), signedText); (err == nil) != want {
			t.Errorf("%s: got %v, want accepted=%v", algorithm, err, want)
		}
	}
}

func TestVerifyRefusesMalformedValues(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	pub, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	blob := ed25519.Sign(private, signedText)
	good := authorization(pub, blob)
	if _, err := Verify(good, signedText); err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(good, ":")
	wire := pub.Marshal()
	encode := base64.StdEncoding.EncodeToString
	for name, value := range map[string]string{
		"empty":                     "",
		"only a colon":              ":",
		"no colon":                  first + second,
		"no key":                    ":" + second,
		"no signature":              first + ":",
		"a scheme in front":         "Bearer " + good,
		"a space after it":          good + " ",
		"a line end in it":          first + ":" + second[:10] + "\n" + second[10:],
		"a line end in the key":     first[:10] + "\r\n" + first[10:] + ":" + second,
		"three fields":              good + ":" + second,
		"no padding":                first + ":" + strings.TrimRight(second, "="),
		"bits after the end":        first + ":" + withSpareBit(t, second),
		"base64url":                 first + ":" + strings.NewReplacer("+", "-", "/", "_").Replace(encode(bytes.Repeat([]byte{0xff}, 64))),
		"a byte too many":           first + ":" + encode(append(bytes.Clone(blob), 0)),
		"a byte too few":            first + ":" + encode(blob[:63]),
		"a byte after the key":      encode(append(bytes.Clone(wire), 0)) + ":" + second,
		"a key that is cut":         encode(wire[:len(wire)-1]) + ":" + second,
		"SSH's envelope":            first + ":" + encode(ssh.Marshal(ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: blob})),
		"s that is not below order": first + ":" + encode(addOrder(blob)),
	} {
		if pub, err := Verify(value, signedText); err == nil || pub != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSignRequestWithoutHeader(t *testing.T) {
	key, err := signer.New(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{URL: &url.URL{Scheme: "https", Host: "r.example", Path: "/api/me"}}
	if err := SignRequest(t.Context(), key, req); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(req.Header.Get("Authorization"), []byte("GET,"+req.URL.RequestURI())); err != nil {
		t.Error(err)
	}
}

func TestVerifyTellsTheForm(t *testing.T) {
	_, err := Verify("AAAA", signedText)
	if err == nil || !strings.Contains(err.Error(), "want <public key>:<signature>") {
		t.Errorf("got %v, want the form", err)
	}
}

// TestVerifyRefusesBitsAfterTheKey: base64 of a key with padding has spare bits.
func TestVerifyRefusesBitsAfterTheKey(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	value, err := Sign(t.Context(), key, signedText)
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(value, ":")
	changed := withSpareBit(t, first) + ":" + second
	if _, err := Verify(changed, signedText); err == nil {
		t.Errorf("%s is accepted, and so is %s", value, changed)
	}
}

// withSpareBit returns another base64 text of the same bytes as text, which must end
// with padding: the last character before the padding has bits that mean nothing.
func withSpareBit(t *testing.T, text string) string {
	t.Helper()
	i := strings.Index(text, "=")
	if i < 0 {
		t.Fatalf("%s has no padding", text)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(alphabet, text[i-1])
	return text[:i-1] + alphabet[last+1:last+2] + text[i:]
}

// addOrder returns the other spelling of an Ed25519 signature: RFC 8032, section
// 5.1.7, refuses it, because s must be below the order of the group.
func addOrder(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := bytes.Clone(sig[32:])
	reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	reverse(sum)
	return append(bytes.Clone(sig[:32]), sum...)
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

func FuzzVerify(f *testing.F) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	pub, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(authorization(pub, ed25519.Sign(private, signedText)))
	f.Add("AAAA:AAAA")
	f.Fuzz(func(t *testing.T, value string) {
		got, err := Verify(value, signedText)
		if err != nil {
			return
		}
		first, _, _ := strings.Cut(value, ":")
		if first != base64.StdEncoding.EncodeToString(got.Marshal()) {
			t.Errorf("%q: the key has a second spelling", value)
		}
	})
}
