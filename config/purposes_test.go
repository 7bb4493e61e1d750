package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

const (
	apiText   = "POST,/api/me?ts=1700000000"
	tokenText = "GET,https://r.example/token?nonce=AAECAwQFBgcICQoLDA0ODw&ts=1,ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
)

// checkSigns wants a Signer that signs these texts and refuses all others.
func checkSigns(t *testing.T, s signer.Signer, allowed ...string) {
	t.Helper()
	for _, text := range []string{apiText, tokenText, "SSHSIG\x00\x00\x00\x03git", "a text of no protocol"} {
		want := strings.Contains("\n"+strings.Join(allowed, "\n")+"\n", "\n"+text+"\n")
		_, err := s.Sign(t.Context(), []byte(text))
		if (err == nil) != want || err != nil && (!errors.Is(err, signer.ErrDenied) || !errors.Is(err, guard.ErrPurpose) || !strings.Contains(err.Error(), string(guard.PurposeOf([]byte(text))))) {
			t.Errorf("%q: got %v, want it signed: %v", text, err, want)
		}
	}
}

// keyFile returns a new key file and its fingerprint.
func keyFile(t *testing.T) (path, fingerprint string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	s, err := (&file.Backend{}).Generate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return path, ssh.FingerprintSHA256(s.PublicKey())
}

func TestPurposesLimitEveryWayToAKey(t *testing.T) {
	path, _ := keyFile(t)
	ref := "file:" + filepath.ToSlash(path)
	c := parse(t, `
keys = ["`+ref+`"]
[limit."`+ref+`"]
purposes = ["ollama.api"]
`)
	s, e, err := c.Choose(config.Query{}).Open(t.Context(), c.Backends())
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, apiText)
	if diff := cmp.Diff([]guard.Purpose{guard.API}, e.Purposes); diff != "" {
		t.Error(diff)
	}
	if got := s.(interface{ String() string }).String(); got != ref+", from config.toml:2" {
		t.Errorf("it prints as %s", got)
	}
	if s, err = c.Backends().Open(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, apiText)
	// A backend of the program's own, and a key that a flag asks for.
	if s, _, err = c.Choose(config.Query{Flag: ref}).Open(t.Context(), c.Backends().Mux()); err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, apiText)
	other, _ := keyFile(t)
	if s, err = c.Backends().Open(t.Context(), "file:"+other); err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, apiText, tokenText, "SSHSIG\x00\x00\x00\x03git", "a text of no protocol")
}

func TestPurposesOfOneFileInManySpellings(t *testing.T) {
	path, fingerprint := keyFile(t)
	home := filepath.Dir(path)
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Chdir(home)
	refs := []string{"file:" + filepath.ToSlash(path), "file:~/key", "file:key", "file:./key", "file:" + filepath.ToSlash(home) + "/../" + filepath.Base(home) + "//key"}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("key", "link"); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, "file:link")
	}
	for _, limited := range append(refs, fingerprint) {
		c := parse(t, `[limit."`+limited+`"]
purposes = ["ollama.registry https://r.example"]`)
		for _, ref := range refs {
			s, err := c.Backends().Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if t.Run(limited+" opened as "+ref, func(t *testing.T) { checkSigns(t, s, tokenText) }); t.Failed() {
				return
			}
		}
	}
}

func TestPurposesOfSeveralLimits(t *testing.T) {
	path, fingerprint := keyFile(t)
	ref := "file:" + filepath.ToSlash(path)
	for _, tt := range []struct{ a, b, want string }{
		{`"ollama.api"`, `"ollama.api", "ollama.registry"`, "ollama.api"},
		{`"ollama.registry"`, `"ollama.registry https://r.example"`, "ollama.registry https://r.example"},
		{`"ollama.registry https://r.example"`, `"ollama.registry"`, "ollama.registry https://r.example"},
		{`"ollama.registry https://r.example"`, `"ollama.registry https://s.example"`, ""},
		{`"sshsig git", "sshsig file"`, `"sshsig file", "sshsig"`, "sshsig git,sshsig file"},
		{`"raw"`, `"ollama.api"`, ""},
	} {
		c := parse(t, `[limit."`+ref+`"]
purposes = [`+tt.a+`]
[limit."`+fingerprint+`"]
purposes = [`+tt.b+`]`)
		s, err := c.Backends().Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		got, limited := c.Purposes(ref, s.PublicKey())
		var names []string
		for _, p := range got {
			names = append(names, string(p))
		}
		if strings.Join(names, ",") != tt.want || !limited {
			t.Errorf("%s and %s: got %q, %v; want %q", tt.a, tt.b, names, limited, tt.want)
		}
		if _, err := s.Sign(t.Context(), []byte(tokenText)); (err == nil) != strings.Contains(tt.want, "r.example") {
			t.Errorf("%s and %s: %v", tt.a, tt.b, err)
		}
	}
}

// TestLimits wants the limits in the order of the file, and no way to change them.
func TestLimits(t *testing.T) {
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, `keys = ["env:KEY"]
[limit."`+ssh.FingerprintSHA256(pub)+`"]
purposes = ["sshsig", "ollama.api"]
[limit."env:OTHER"]
purposes = ["raw"]
[limit."env:KEY"]
purposes = ["sshsig git", "ollama.api"]`)
	want := []string{"config.toml:2", "config.toml:4", "config.toml:6"}
	var got []string
	for _, l := range c.Limits() {
		got = append(got, l.Source.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, ref := range []string{"env:KEY", "env:KEY", "keyring:a copy", "keyring:a copy"} {
		purposes := []guard.Purpose{"ollama.api", "sshsig git"}
		if ref != "env:KEY" {
			purposes = []guard.Purpose{"sshsig", "ollama.api"}
		}
		got, _ := c.Purposes(ref, pub)
		if diff := cmp.Diff(purposes, got); diff != "" {
			t.Errorf("%s: %s", ref, diff)
		}
		got[0] = guard.Raw // no effect on c
	}
}

// TestPurposesOfOtherReferences has references that are near to the limited one.
func TestPurposesOfOtherReferences(t *testing.T) {
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, `[limit."env:KEY"]
purposes = ["ollama.api"]
[limit."file:/absent/key"]
purposes = ["ollama.api"]`)
	for ref, want := range map[string]bool{
		"env:KEY": true, "env:KEY2": false, "env:key": false, "file:KEY": false, "keyring:KEY": false, "": false,
		"file:/absent/key": true, "file:/absent/key2": false, "file:": false, "keyring:/absent/key": false,
	} {
		if _, limited := c.Purposes(ref, pub); limited != want {
			t.Errorf("%q is limited: %v, want %v", ref, limited, want)
		}
	}
}

// TestPurposesInTheTokenFlow has a registry that gets no signature of a key for the
// API, nor of a key for another registry.
func TestPurposesInTheTokenFlow(t *testing.T) {
	registry := start(t, challengetest.Config{})
	path, _ := keyFile(t)
	ref := "file:" + filepath.ToSlash(path)
	for purpose, want := range map[string]bool{
		"ollama.registry": true, "ollama.registry " + registry.URL: true,
		"ollama.api": false, "ollama.registry https://r.example": false, "raw": false,
	} {
		c := parse(t, `keys = ["`+ref+`"]
[limit."`+ref+`"]
purposes = ["`+purpose+`"]`)
		err := get(t, c.Client(c.Backends(), config.Query{}), registry)
		if (err == nil) != want || err != nil && !errors.Is(err, signer.ErrDenied) {
			t.Errorf("a key for %s: %v, want a token: %v", purpose, err, want)
		}
	}
}
