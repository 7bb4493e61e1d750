package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

const program = "countersign-backend-pkcs11"

// TestMain plays the plugin if the test binary has its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == program {
		run()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const modulePath = "/usr/lib/softhsm/libsofthsm2.so"

const pin = "48151623"

// newToken makes a token "t1" in SoftHSM and returns the plugin. countersign knows the
// PIN if knowsPIN is set.
func newToken(t *testing.T, knowsPIN bool) *plugin.Backend {
	t.Helper()
	if _, err := os.Stat(modulePath); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: needs SoftHSM (Debian: softhsm2): ", err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("SOFTHSM2_CONF", config)
	t.Setenv(moduleVariable, modulePath)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or a program with -race takes a second to end
	command(t, "softhsm2-util", "--init-token", "--free", "--label", "t1", "--pin", pin, "--so-pin", "5678")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, program)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	b := &plugin.Backend{Programs: map[string]plugin.Program{"pkcs11": {Path: path, Environment: []string{"SOFTHSM2_CONF", moduleVariable, "GORACE"}}}}
	if knowsPIN {
		b.Passphrase = func(context.Context, string) ([]byte, error) { return []byte(pin), nil }
	}
	return b
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// TestConformance runs the suite on SoftHSM, through the plugin's protocol.
func TestConformance(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		b := newToken(t, true)
		return signertest.Store{
			Backend: b,
			Put: func(t *testing.T, name string, key crypto.Signer) {
				put(t, strings.TrimPrefix(name, "pkcs11:token=t1;object="), key)
			},
			Name:     func(n int) string { return "pkcs11:token=t1;object=key" + strconv.Itoa(n) },
			BadNames: []string{"pkcs11:token=t1;object=key?pin-value=" + pin},
			Lock:     func(*testing.T, string) { b.Passphrase = nil },
			Dir:      os.Getenv("HOME"),
		}
	})
}

// put stores a key in the token, as a tool of its vendor does.
func put(t *testing.T, label string, key crypto.Signer) {
	t.Helper()
	p := pkcs11.New(modulePath)
	if err := p.Initialize(); err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	defer p.Finalize()
	found, err := tokens(p, keyURI{token: "t1"})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d tokens, %v", len(found), err)
	}
	token := found[0]
	if err := token.open(true); err != nil {
		t.Fatal(err)
	}
	if err := token.Login(token.session, pkcs11.CKU_USER, pin); err != nil {
		t.Fatal(err)
	}
	public, private := templates(t, key)
	for class, template := range map[uint][]*pkcs11.Attribute{pkcs11.CKO_PUBLIC_KEY: public, pkcs11.CKO_PRIVATE_KEY: private} {
		template = append(template,
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, class),
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, class == pkcs11.CKO_PRIVATE_KEY),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
			pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label)),
		)
		if _, err := token.CreateObject(token.session, template); err != nil {
			t.Fatal(err)
		}
	}
}

func templates(t *testing.T, key crypto.Signer) (public, private []*pkcs11.Attribute) {
	t.Helper()
	const ckkEdwards = 0x40
	kind := func(k uint) *pkcs11.Attribute { return pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, k) }
	octets := func(b []byte) []byte {
		der, err := asn1.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	a := pkcs11.NewAttribute
	signs, hidden, kept := a(pkcs11.CKA_SIGN, true), a(pkcs11.CKA_SENSITIVE, true), a(pkcs11.CKA_EXTRACTABLE, false)
	switch k := key.(type) {
	case ed25519.PrivateKey:
		params := a(pkcs11.CKA_EC_PARAMS, []byte(curves[0].params))
		return []*pkcs11.Attribute{kind(ckkEdwards), params, a(pkcs11.CKA_EC_POINT, octets(k.Public().(ed25519.PublicKey)))},
			[]*pkcs11.Attribute{kind(ckkEdwards), params, a(pkcs11.CKA_VALUE, k.Seed()), signs, hidden, kept}
	case *ecdsa.PrivateKey:
		params := a(pkcs11.CKA_EC_PARAMS, []byte(curves[3].params))
		point, err := k.PublicKey.Bytes()
		if err != nil || k.Curve != elliptic.P256() {
			t.Fatal(err)
		}
		d, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return []*pkcs11.Attribute{kind(pkcs11.CKK_EC), params, a(pkcs11.CKA_EC_POINT, octets(point))},
			[]*pkcs11.Attribute{kind(pkcs11.CKK_EC), params, a(pkcs11.CKA_VALUE, d), signs, hidden, kept}
	case *rsa.PrivateKey:
		n, e := a(pkcs11.CKA_MODULUS, k.N.Bytes()), a(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})
		return []*pkcs11.Attribute{kind(pkcs11.CKK_RSA), n, e},
			[]*pkcs11.Attribute{
				kind(pkcs11.CKK_RSA), n, e, a(pkcs11.CKA_PRIVATE_EXPONENT, k.D.Bytes()),
				a(pkcs11.CKA_PRIME_1, k.Primes[0].Bytes()), a(pkcs11.CKA_PRIME_2, k.Primes[1].Bytes()),
				a(pkcs11.CKA_EXPONENT_1, k.Precomputed.Dp.Bytes()), a(pkcs11.CKA_EXPONENT_2, k.Precomputed.Dq.Bytes()), a(pkcs11.CKA_COEFFICIENT, k.Precomputed.Qinv.Bytes()),
				signs, hidden, kept,
			}
	}
	t.Skipf("no %T in the token", key)
	return nil, nil
}

// TestOllamaFlow gets a manifest with a key that was made in the token and cannot be
// exported.
func TestOllamaFlow(t *testing.T) {
	b := newToken(t, true)
	const name = "pkcs11:token=t1;object=ollama"
	if _, err := b.Generate(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	listed := command(t, "pkcs11-tool", "--module", modulePath, "--token-label", "t1", "--login", "--pin", pin, "--list-objects", "--type", "privkey")
	for _, want := range []string{"sensitive", "always sensitive", "never extractable"} {
		if !strings.Contains(listed, want) {
			t.Errorf("the key is not %q:\n%s", want, listed)
		}
	}
	key, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	registry.AddImage("library/llama3", "latest", []byte("weights"))
	client := &http.Client{Transport: &challenge.Transport{Client: &challenge.Client{Key: challenge.StaticKey(key)}}}
	resp, err := client.Get(registry.URL + "/v2/library/llama3/manifests/latest")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || registry.Stats().Tokens != 1 {
		t.Errorf("%s, %+v", resp.Status, registry.Stats())
	}
}

func TestPINFile(t *testing.T) {
	b := newToken(t, false)
	put(t, "key", signertest.NewKey(t))
	file := filepath.Join(os.Getenv("HOME"), "pin")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	sign := func() error {
		t.Helper()
		k, err := b.Open(t.Context(), "pkcs11:token=t1;object=key?pin-source=file:"+file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Sign(t.Context(), []byte("message"))
		if err != nil && strings.Contains(err.Error(), pin) {
			t.Errorf("the error has the PIN: %v", err)
		}
		return err
	}
	if err := sign(); !errors.Is(err, signer.ErrDenied) {
		t.Errorf("without the file: %v", err)
	}
	write(pin+"\n", 0o644)
	if err := sign(); !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("a file that others can read: %v", err)
	}
	write("\n", 0o600)
	if err := sign(); !errors.Is(err, signer.ErrDenied) {
		t.Errorf("an empty file: %v", err)
	}
	write(pin+"\n", 0o600)
	if err := sign(); err != nil {
		t.Errorf("the right PIN: %v", err)
	}
	write("99999999", 0o600)
	if err := sign(); !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), "is wrong") {
		t.Errorf("a wrong PIN: %v", err)
	}
	if err := sign(); !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), "no other is tried") {
		t.Errorf("the wrong PIN for a second time: %v", err)
	}
	command(t, "pkcs11-tool", "--module", modulePath, "--token-label", "t1", "--login", "--pin", pin, "--list-objects")
	write(pin, 0o600)
	if err := sign(); err != nil {
		t.Errorf("the right PIN, after a login: %v", err)
	}
}

func TestPINFromPerson(t *testing.T) {
	b := newToken(t, false)
	put(t, "key", signertest.NewKey(t))
	k, err := b.Open(t.Context(), "pkcs11:key") // the label alone, because there is one token
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(t.Context(), nil); !errors.Is(err, signer.ErrLocked) {
		t.Errorf("with nobody to ask: %v", err)
	}
	var prompts []string
	b.Passphrase = func(_ context.Context, prompt string) ([]byte, error) {
		prompts = append(prompts, prompt)
		return []byte("1111"), nil
	}
	for range 2 {
		if _, err := k.Sign(t.Context(), nil); !errors.Is(err, signer.ErrDenied) || strings.Contains(err.Error(), "1111") {
			t.Errorf("a wrong PIN: %v", err)
		}
	}
	if len(prompts) != 2 || !strings.Contains(prompts[0], "the PIN of token t1") {
		t.Errorf("asked %q", prompts)
	}
	info := command(t, "pkcs11-tool", "--module", modulePath, "--list-token-slots")
	if !strings.Contains(info, "user PIN count low") || strings.Contains(info, "final") {
		t.Errorf("the token's flags:\n%s", info)
	}
}

func TestErrors(t *testing.T) {
	b := newToken(t, true)
	put(t, "key", signertest.NewKey(t))
	put(t, "twice", signertest.NewKey(t))
	put(t, "twice", signertest.NewKey(t))
	for name, want := range map[string]struct {
		kind error
		text string
	}{
		"token=t1;object=absent":                    {signer.ErrNotFound, "no public key or certificate"},
		"token=other;object=key":                    {signer.ErrUnavailable, "no token matches"},
		"object=key?module-path=/no/such/module.so": {signer.ErrUnavailable, "no such file"},
		"object=key?module-path=module.so":          {signer.ErrUnavailable, "not absolute"},
		"object=key?module-path=/bin/true":          {signer.ErrUnavailable, "no PKCS #11 module"},
		"object=twice":                              {nil, "2 keys of token t1 match"},
		"token=t1":                                  {signer.ErrUnsupported, "names no key"},
		"object=key;object=key":                     {signer.ErrUnsupported, "an attribute twice"},
		"object=key;color=blue":                     {signer.ErrUnsupported, "known attributes"},
		"object=%zz":                                {signer.ErrUnsupported, "hexadecimal"},
		"object=key?pin-source=|echo 1":             {signer.ErrUnsupported, "pin-source is file:"},
	} {
		_, err := b.Open(t.Context(), "pkcs11:"+name)
		if err == nil || !strings.Contains(err.Error(), want.text) || want.kind != nil && !errors.Is(err, want.kind) {
			t.Errorf("%s: %v, want %v and %q", name, err, want.kind, want.text)
		}
	}
}
