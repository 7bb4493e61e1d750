package env_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

// clean starts a test without any of the variables that the backend reads.
func clean(t *testing.T) {
	t.Helper()
	for _, v := range []string{"TEST_KEY", "TEST_KEY_FILE", "TEST_KEY_PASSPHRASE", "TEST_KEY_PASSPHRASE_FILE", "CREDENTIALS_DIRECTORY"} {
		t.Setenv(v, "") // so that the test's end restores it
		os.Unsetenv(v)
	}
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { // readable by all, as orchestrators mount it
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// newKey returns what ssh-keygen writes into a key's two files.
func newKey(t *testing.T, args ...string) (text string, pub ssh.PublicKey) {
	t.Helper()
	path := sshkeygen.New(t, args...)
	return readFile(t, path), sshkeygen.PublicKey(t, path)
}

func checkSigns(t *testing.T, s signer.Signer, want ssh.PublicKey) {
	t.Helper()
	if !bytes.Equal(s.PublicKey().Marshal(), want.Marshal()) {
		t.Fatalf("opened %s, want %s", ssh.FingerprintSHA256(s.PublicKey()), ssh.FingerprintSHA256(want))
	}
	sig, err := s.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	if err := want.Verify([]byte("message"), sig); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, b *env.Backend) signer.Signer {
	t.Helper()
	s, err := b.Open(t.Context(), "TEST_KEY")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkError fails unless err wraps is (nil: none of the signer's errors that a
// search passes over) and says each of want.
func checkError(t *testing.T, err, is error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("error %q is not %q", err, is)
	}
	if is == nil && (errors.Is(err, signer.ErrNotFound) || errors.Is(err, signer.ErrUnavailable)) {
		t.Errorf("a search passes over %q", err)
	}
	hint, _ := signer.HintOf(err)
	told := err.Error() + ": " + hint.Do
	for _, w := range want {
		if !strings.Contains(told, w) {
			t.Errorf("error %q does not say %q", told, w)
		}
	}
}

func TestOpenVariable(t *testing.T) {
	for _, args := range [][]string{nil, {"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa"}} {
		clean(t)
		text, pub := newKey(t, args...)
		t.Setenv("TEST_KEY", strings.ReplaceAll(text, "\n", `\n`))
		s := open(t, &env.Backend{})
		checkSigns(t, s, pub)
		if st, ok := s.(signer.Staler); ok && st.Stale() {
			t.Error("stale")
		}
		checkSigns(t, open(t, &env.Backend{}), pub)
		if os.Getenv("TEST_KEY") == "" {
			t.Error("removed from the environment without Unset")
		}
	}
}

func TestOpenFile(t *testing.T) {
	clean(t)
	text, pub := newKey(t)
	path := filepath.Join(t.TempDir(), "secret")
	for name, content := range map[string]string{"PEM": text, "base64": base64.StdEncoding.EncodeToString([]byte(text)) + "\n"} {
		t.Run(name, func(t *testing.T) {
			os.Remove(path)
			t.Setenv("TEST_KEY_FILE", writeFile(t, path, content))
			checkSigns(t, open(t, &env.Backend{}), pub)
		})
	}
}

func TestOpenCredential(t *testing.T) {
	clean(t)
	text, pub := newKey(t)
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	writeFile(t, filepath.Join(dir, "TEST_KEY"), text)
	checkSigns(t, open(t, &env.Backend{}), pub)

	// What the environment names goes before what systemd put there.
	text, pub = newKey(t)
	t.Setenv("TEST_KEY_FILE", writeFile(t, filepath.Join(t.TempDir(), "k"), text))
	checkSigns(t, open(t, &env.Backend{}), pub)
}

// A rotated secret, as Kubernetes rotates it: a new file takes the old one's
// place.
func TestRotation(t *testing.T) {
	clean(t)
	before, oldPub := newKey(t)
	after, newPub := newKey(t)
	dir := t.TempDir()
	path := writeFile(t, filepath.Join(dir, "secret"), before)
	t.Setenv("TEST_KEY_FILE", path)

	keys := &signer.Keeper{Backend: &env.Backend{}}
	old, err := keys.Open(t.Context(), "TEST_KEY")
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, old, oldPub)
	if err := os.Rename(writeFile(t, filepath.Join(dir, "next"), after), path); err != nil {
		t.Fatal(err)
	}
	if !old.(signer.Staler).Stale() {
		t.Error("the rotation went unnoticed")
	}
	checkSigns(t, old, oldPub)
	s, err := keys.Open(t.Context(), "TEST_KEY")
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, newPub)
}

func TestOpenErrors(t *testing.T) {
	text, _ := newKey(t)
	seed := bytes.Repeat([]byte{0xfb, 0xef, 0xbe, 0xff}, 8) // base64: ++++/...
	slashed := "/" + base64.StdEncoding.EncodeToString(seed)[1:]
	dir := t.TempDir()
	keyPath := writeFile(t, filepath.Join(dir, "key"), text)
	empty := writeFile(t, filepath.Join(dir, "empty"), "")
	missing := filepath.Join(dir, "missing")

	tests := []struct {
		name string
		env  map[string]string
		is   error
		want []string
	}{
		{"nothing", nil, signer.ErrNotFound, []string{"TEST_KEY, TEST_KEY_FILE and CREDENTIALS_DIRECTORY"}},
		{"no such credential", map[string]string{"CREDENTIALS_DIRECTORY": dir}, signer.ErrNotFound, []string{"TEST_KEY_FILE", dir, "has no TEST_KEY"}},
		{"empty", map[string]string{"TEST_KEY": ""}, signer.ErrNotFound, []string{"not found: set but empty: TEST_KEY"}},
		{"newline only", map[string]string{"TEST_KEY": "\n"}, nil, []string{"TEST_KEY: empty (1 bytes)"}},
		{"empty and a file", map[string]string{"TEST_KEY": "", "TEST_KEY_FILE": keyPath}, nil, []string{"both TEST_KEY and TEST_KEY_FILE are set"}},
		{"both", map[string]string{"TEST_KEY": text, "TEST_KEY_FILE": keyPath}, nil, []string{"both TEST_KEY and TEST_KEY_FILE are set"}},
		{"damaged", map[string]string{"TEST_KEY": text[:200]}, nil, []string{"TEST_KEY: damaged PEM", "cut short"}},
		{"path in the variable", map[string]string{"TEST_KEY": keyPath}, nil, []string{"TEST_KEY: the path of a file", "TEST_KEY_FILE"}},
		{"file missing", map[string]string{"TEST_KEY_FILE": missing}, fs.ErrNotExist, []string{"TEST_KEY_FILE names " + missing, "unset"}},
		{"file empty", map[string]string{"TEST_KEY_FILE": empty}, nil, []string{"TEST_KEY_FILE (" + empty + "): empty (0 bytes)"}},
		{"file is a folder", map[string]string{"TEST_KEY_FILE": dir}, nil, []string{"TEST_KEY_FILE", dir, "is a directory"}},
		{"no path", map[string]string{"TEST_KEY_FILE": ""}, signer.ErrNotFound, []string{"not found: set but empty: TEST_KEY_FILE"}},
		{"path of no file", map[string]string{"TEST_KEY": missing}, nil, []string{"TEST_KEY: the path of a file", "set TEST_KEY_FILE to the path, and unset TEST_KEY"}},
		{"path between spaces", map[string]string{"TEST_KEY": " ~/key\n"}, nil, []string{"TEST_KEY: the path of a file", "TEST_KEY_FILE"}},
		{"path in the home", map[string]string{"TEST_KEY": "~/.ollama/id_ed25519"}, nil, []string{"TEST_KEY: the path of a file", "TEST_KEY_FILE"}},
		{"path of Windows", map[string]string{"TEST_KEY": `C:\Users\me\key`}, nil, []string{"TEST_KEY: the path of a file", "TEST_KEY_FILE"}},
		{"reference", map[string]string{"TEST_KEY": "file:key"}, nil, []string{"TEST_KEY: the path of a file", "TEST_KEY_FILE"}},
		{"relative path", map[string]string{"TEST_KEY_FILE": "key"}, nil, []string{"TEST_KEY_FILE is not an absolute path"}},
		{"key for a path", map[string]string{"TEST_KEY_FILE": text}, nil, []string{"TEST_KEY_FILE is not an absolute path"}},
		{"seed for a path", map[string]string{"TEST_KEY_FILE": slashed}, nil, []string{"TEST_KEY_FILE holds a key"}},
		{"relative credentials", map[string]string{"CREDENTIALS_DIRECTORY": "."}, nil, []string{"CREDENTIALS_DIRECTORY is not an absolute path"}},
		{"both passphrases", map[string]string{"TEST_KEY": text, "TEST_KEY_PASSPHRASE": "p", "TEST_KEY_PASSPHRASE_FILE": empty}, nil, []string{"both TEST_KEY_PASSPHRASE and TEST_KEY_PASSPHRASE_FILE"}},
		{"passphrase's file missing", map[string]string{"TEST_KEY": text, "TEST_KEY_PASSPHRASE_FILE": missing}, fs.ErrNotExist, []string{"TEST_KEY_PASSPHRASE_FILE names " + missing}},
		{"passphrase for a path", map[string]string{"TEST_KEY": text, "TEST_KEY_PASSPHRASE_FILE": "hunter2"}, nil, []string{"TEST_KEY_PASSPHRASE_FILE is not an absolute path"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			b := &env.Backend{}
			_, openErr := b.Open(t.Context(), "TEST_KEY")
			_, exportErr := b.Export(t.Context(), "TEST_KEY")
			for _, err := range []error{openErr, exportErr} {
				checkError(t, err, tt.is, tt.want...)
				if tt.is != signer.ErrNotFound && errors.Is(err, signer.ErrNotFound) {
					t.Errorf("a search passes over %q", err)
				}
				for _, secret := range []string{text[80:100], slashed[1:], "hunter2"} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("error %q repeats the secret", err)
					}
				}
			}
		})
	}
}

// A key that was meant and is not usable must not become another, weaker one.
func TestSearchPassesOverAbsentKeysOnly(t *testing.T) {
	clean(t)
	text, pub := newKey(t)
	t.Setenv("OTHER_KEY", text)
	keys := signer.Mux{"env": &env.Backend{}}
	search := func() (signer.Signer, error) {
		return signer.First(t.Context(), keys, "env:TEST_KEY", "env:OTHER_KEY")
	}
	s, err := search()
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, pub)

	t.Setenv("TEST_KEY", "") // as CI systems do for a secret that is missing
	if s, err = search(); err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, pub)

	t.Setenv("TEST_KEY", " ")
	_, err = search()
	checkError(t, err, nil, "TEST_KEY: empty")
}

func TestNames(t *testing.T) {
	text, _ := newKey(t)
	digest := sha256.Sum256([]byte("a seed of all kinds of characters"))
	seed := ed25519.NewKeyFromSeed(digest[:])
	for _, name := range []string{
		"", "1KEY", "MY-KEY", "MY KEY", "MY.KEY", "SCHLÜSSEL", "KEY=x", "KEY\x00", "../KEY", "$KEY",
		strings.Repeat("K", 81),
		text,
		base64.StdEncoding.EncodeToString([]byte(text)),
		hex.EncodeToString(seed.Seed()), // matches the pattern of names, as the next ones do
		base64.RawURLEncoding.EncodeToString(seed[:32]),
		hex.EncodeToString(seed),
		base64.RawURLEncoding.EncodeToString(seed),
	} {
		_, err := (&env.Backend{}).Open(t.Context(), name)
		checkError(t, err, signer.ErrName)
		if len(name) > 2 && strings.Contains(err.Error(), name) {
			t.Errorf("error repeats the name: %v", err)
		}
	}
	clean(t)
	for _, name := range []string{"K", "_K", "ollama_key2", strings.Repeat("K", 80)} {
		_, err := (&env.Backend{}).Open(t.Context(), name)
		checkError(t, err, signer.ErrNotFound, name)
	}
}

func TestContextEnded(t *testing.T) {
	clean(t)
	text, _ := newKey(t)
	t.Setenv("TEST_KEY", text)
	s := open(t, &env.Backend{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &env.Backend{Unset: true}
	_, err := b.Open(ctx, "TEST_KEY")
	checkError(t, err, context.Canceled)
	_, err = b.Export(ctx, "TEST_KEY")
	checkError(t, err, context.Canceled)
	_, err = s.Sign(ctx, nil)
	checkError(t, err, context.Canceled)
	if os.Getenv("TEST_KEY") == "" {
		t.Error("removed the variable without opening it")
	}
}

// checkHides fails if a log could show the passphrase of what v has opened.
func checkHides(t *testing.T, v any, passphrase string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if strings.Contains(fmt.Sprintf(verb, v), passphrase) {
			t.Errorf("%s prints the passphrase of a %T", verb, v)
		}
	}
}

// The text of a seed can look like the path of a file.
func TestOpenSeedThatLooksLikePath(t *testing.T) {
	clean(t)
	t.Chdir(t.TempDir())
	for _, text := range []string{
		"/" + strings.Repeat("G1h2", 10) + "A0", // the absolute path of no file
		strings.Repeat("G1h2", 10) + "A1A",      // the name of a file in the working directory
	} {
		if !strings.HasPrefix(text, "/") {
			writeFile(t, text, "")
		}
		seed, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("TEST_KEY", text)
		checkSigns(t, open(t, &env.Backend{}), pub)
	}
}
