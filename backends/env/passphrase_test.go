package env_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestPassphrase(t *testing.T) {
	const secret = "correct horse " // whose space at the end belongs to it
	text, pub := newKey(t, "-N", secret)
	dir := t.TempDir()
	tests := []struct {
		name string
		env  map[string]string
	}{
		{"variable", map[string]string{"TEST_KEY_PASSPHRASE": secret}},
		{"file", map[string]string{"TEST_KEY_PASSPHRASE_FILE": writeFile(t, filepath.Join(dir, "bare"), secret)}},
		{"file, newline", map[string]string{"TEST_KEY_PASSPHRASE_FILE": writeFile(t, filepath.Join(dir, "lf"), secret+"\n")}},
		{"file, CRLF", map[string]string{"TEST_KEY_PASSPHRASE_FILE": writeFile(t, filepath.Join(dir, "crlf"), secret+"\r\n")}},
		{"credential", map[string]string{"CREDENTIALS_DIRECTORY": dir}},
	}
	writeFile(t, filepath.Join(dir, "TEST_KEY_PASSPHRASE"), secret)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			t.Setenv("TEST_KEY", text)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			b := &env.Backend{Passphrase: func(context.Context, string) ([]byte, error) {
				return nil, errors.New("somebody was asked all the same")
			}}
			s := open(t, b)
			checkSigns(t, s, pub)
			checkHides(t, s, secret)
			k, err := b.Export(t.Context(), "TEST_KEY")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ssh.NewPublicKey(k.Public()); err != nil || !signer.SameKey(got, pub) {
				t.Error("exported another key")
			}
			signertest.NoSecret(t, k, s, b)
		})
	}
}

func TestPassphraseAsked(t *testing.T) {
	clean(t)
	text, pub := newKey(t, "-N", "secret")
	t.Setenv("TEST_KEY", text)
	asked := 0
	s := open(t, &env.Backend{Passphrase: func(_ context.Context, prompt string) ([]byte, error) {
		asked++
		if !strings.Contains(prompt, ssh.FingerprintSHA256(pub)) {
			t.Errorf("prompt %q does not name the key", prompt)
		}
		return []byte("secret"), nil
	}})
	if asked > 0 {
		t.Error("asked before the first signature")
	}
	checkSigns(t, s, pub)
	checkSigns(t, s, pub)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestPassphraseErrors(t *testing.T) {
	openSSH, _ := newKey(t, "-N", "secret")
	oldPEM, _ := newKey(t, "-N", "secret", "-t", "ecdsa", "-m", "PEM")
	file := writeFile(t, filepath.Join(t.TempDir(), "p"), "hunter2\n")
	wrong := func(context.Context, string) ([]byte, error) { return []byte("hunter2"), nil }
	tests := []struct {
		name string
		env  map[string]string
		ask  signer.PassphraseFunc
		is   error
		want string
	}{
		{"none", nil, nil, signer.ErrLocked, "set TEST_KEY_PASSPHRASE or TEST_KEY_PASSPHRASE_FILE"},
		{"empty", map[string]string{"TEST_KEY_PASSPHRASE": ""}, wrong, signer.ErrDenied, "empty (passphrase from TEST_KEY_PASSPHRASE)"},
		{"wrong", map[string]string{"TEST_KEY_PASSPHRASE": "hunter2"}, nil, signer.ErrDenied, "(passphrase from TEST_KEY_PASSPHRASE)"},
		{"wrong in file", map[string]string{"TEST_KEY_PASSPHRASE_FILE": file}, nil, signer.ErrDenied, "(passphrase from TEST_KEY_PASSPHRASE_FILE (" + file + "))"},
		{"wrong answer", nil, wrong, signer.ErrDenied, "TEST_KEY: "},
	}
	for _, tt := range tests {
		for _, text := range []string{openSSH, oldPEM} {
			clean(t)
			t.Setenv("TEST_KEY", text)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			b := &env.Backend{Passphrase: tt.ask}
			_, err := b.Export(t.Context(), "TEST_KEY")
			checkError(t, err, tt.is, tt.want)
			s, err := b.Open(t.Context(), "TEST_KEY")
			if err == nil {
				_, err = s.Sign(t.Context(), nil) // OpenSSH's format asks this late
			}
			checkError(t, err, tt.is, tt.want)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error repeats the passphrase: %v", err)
			}
		}
	}
}

// A passphrase that the key does not need does no harm.
func TestPassphraseUnneeded(t *testing.T) {
	clean(t)
	text, pub := newKey(t)
	for _, value := range []string{"", "secret"} {
		t.Setenv("TEST_KEY", text)
		t.Setenv("TEST_KEY_PASSPHRASE", value)
		checkSigns(t, open(t, &env.Backend{}), pub)
	}
}

func TestCiphers(t *testing.T) {
	clean(t)
	t.Setenv("TEST_KEY_PASSPHRASE", "secret")
	read := map[string]bool{"aes256-ctr": true, "aes256-cbc": true}
	for _, cipher := range sshkeygen.Ciphers(t) {
		t.Run(cipher, func(t *testing.T) {
			text, pub := newKey(t, "-N", "secret", "-Z", cipher)
			t.Setenv("TEST_KEY", text)
			if read[cipher] {
				checkSigns(t, open(t, &env.Backend{}), pub)
				return
			}
			_, err := (&env.Backend{}).Open(t.Context(), "TEST_KEY")
			checkError(t, err, signer.ErrUnsupported, cipher, "ssh-keygen -p -Z aes256-ctr")
		})
	}
	if _, ok := os.LookupEnv("TEST_KEY_PASSPHRASE"); !ok {
		t.Error("removed from the environment without Unset")
	}
}

func TestHasPassphrase(t *testing.T) {
	locked, _ := newKey(t, "-N", "secret")
	open, _ := newKey(t)
	for name, tt := range map[string]struct {
		key, passphrase string
		want            bool
	}{
		"none":               {open, "", false},
		"none, one is given": {open, "secret", false},
		"not given":          {locked, "", true},
		"given":              {locked, "secret", true},
	} {
		clean(t)
		t.Setenv("TEST_KEY", tt.key)
		if tt.passphrase != "" {
			t.Setenv("TEST_KEY_PASSPHRASE", tt.passphrase)
		}
		if got, err := new(env.Backend).HasPassphrase(t.Context(), "TEST_KEY"); err != nil || got != tt.want {
			t.Errorf("%s: HasPassphrase = %v, %v, want %v", name, got, err, tt.want)
		}
	}
	clean(t)
	if _, err := new(env.Backend).HasPassphrase(t.Context(), "TEST_KEY"); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("without a key: %v, want ErrNotFound", err)
	}
}
