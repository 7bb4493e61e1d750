package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ollama/ollama/auth"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/gosource"
	dropin "github.com/countersign/countersign/ollama/auth"
)

// authFuncs holds each function of Ollama's package auth beside our function of
// the same name.
var authFuncs = map[string]struct{ theirs, ours any }{
	"Sign":         {auth.Sign, dropin.Sign},
	"GetPublicKey": {auth.GetPublicKey, dropin.GetPublicKey},
	"NewNonce":     {auth.NewNonce, dropin.NewNonce},
}

// TestAuthFuncs holds that a program can change its import path and nothing else.
func TestAuthFuncs(t *testing.T) {
	s := ollamaSource(t, "auth")
	for _, name := range s.Names() {
		f, ok := authFuncs[name]
		if !ok {
			t.Errorf("Ollama's package auth has %s, which ours lacks", name)
		} else if want, got := reflect.TypeOf(f.theirs), reflect.TypeOf(f.ours); got != want {
			t.Errorf("%s is a %s in Ollama's package, and a %s in ours", name, want, got)
		}
	}
	if exported := len(s.Names()); exported != len(authFuncs) {
		t.Errorf("Ollama's package auth has %d functions, want %d", exported, len(authFuncs))
	}
}

// TestAuthResults gives both packages Ollama's own key file, with nothing else
// configured.
func TestAuthResults(t *testing.T) {
	setHome(t, newHome(t))
	want, err := auth.GetPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dropin.GetPublicKey(); err != nil || got != want {
		t.Errorf("public key: got %q, %v; want %q", got, err, want)
	}
	for _, text := range []string{
		"POST,/api/me?ts=1700000000",
		"GET,https://registry.ollama.ai/v2/token?nonce=8PHy8_T19vf4-fr7_P3-_w&scope=repository%3Alibrary%2Fllama3%3Apull&service=ollama.com&ts=1700000000,ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ==",
		"a text of the program's own",
		"",
	} {
		want, err := auth.Sign(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := dropin.Sign(t.Context(), []byte(text)); err != nil || got != want {
			t.Errorf("signature of %q: got %q, %v; want %q", text, got, err, want)
		}
		if _, err := challenge.Verify(want, []byte(text)); err != nil {
			t.Errorf("signature of %q: %v", text, err)
		}
	}
}

func TestAuthNonces(t *testing.T) {
	for _, length := range []int{0, 1, 16, 17, 64, 65} {
		read := func(newNonce func(io.Reader, int) (string, error)) (string, error) {
			return newNonce(strings.NewReader(strings.Repeat("\xfb\xff\x00~", 16)), length)
		}
		want, wantErr := read(auth.NewNonce)
		if got, err := read(dropin.NewNonce); got != want || err != wantErr {
			t.Errorf("%d bytes: got %q, %v; want %q, %v", length, got, err, want, wantErr)
		}
	}
}

func ollamaSource(t *testing.T, dir string) *gosource.Source {
	t.Helper()
	root, err := gosource.ModuleDir(ollamaModule)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gosource.Load(filepath.Join(root, dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newHome returns a home directory with a key where Ollama has its own.
func newHome(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ollama"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ollama", "id_ed25519"), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

// setHome makes home the home directory, and leaves the keychain and the
// configuration of whoever runs the tests out of it.
func setHome(t *testing.T, home string) {
	t.Helper()
	config := filepath.Join(home, "config.toml")
	if err := os.WriteFile(config, []byte("[keyring]\nstores = []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"HOME": home, "USERPROFILE": home, "COUNTERSIGN_CONFIG": config, "COUNTERSIGN_KEY": ""} {
		t.Setenv(name, value)
	}
	for _, name := range []string{"OLLAMA_KEY", "OLLAMA_KEY_FILE", "CREDENTIALS_DIRECTORY"} {
		t.Setenv(name, "") // to restore it
		os.Unsetenv(name)
	}
}

func readPublicKey(t *testing.T, home string) ssh.PublicKey {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(home, ".ollama", "id_ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	return key.PublicKey()
}
