package file_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// says answers with the passphrase.
func says(passphrase string) signer.PassphraseFunc {
	return func(context.Context, string) ([]byte, error) { return []byte(passphrase), nil }
}

// Whoever has just set a passphrase is not asked for it.
func TestGenerateWithPassphrase(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	var prompts []string
	b := &file.Backend{NewPassphrase: func(_ context.Context, prompt string) ([]byte, error) {
		prompts = append(prompts, prompt)
		return []byte("secret"), nil
	}}
	s, err := b.Generate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, s.PublicKey())
	if s.(signer.Staler).Stale() {
		t.Error("the key is stale as soon as it is made")
	}
	if len(prompts) != 1 || !strings.Contains(prompts[0], path) {
		t.Errorf("the prompts are %q, want one with the path", prompts)
	}

	locked, err := b.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Sign(t.Context(), nil); !errors.Is(err, signer.ErrLocked) {
		t.Errorf("Sign without the passphrase: %v, want ErrLocked", err)
	}
	var prompt string
	unlocked, err := (&file.Backend{Passphrase: func(_ context.Context, p string) ([]byte, error) {
		prompt = p
		return []byte("secret"), nil
	}}).Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, unlocked, s.PublicKey())
	if !strings.HasSuffix(prompt, " ("+path+")") {
		t.Errorf("the prompt is %q, want the path in brackets", prompt)
	}
}

func TestImportWithPassphrase(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tempDir(t), "key")
	b := &file.Backend{NewPassphrase: says("secret"), Passphrase: says("secret")}
	if err := b.Import(t.Context(), path, key); err != nil {
		t.Fatal(err)
	}
	if _, err := new(file.Backend).Export(t.Context(), path); !errors.Is(err, signer.ErrLocked) {
		t.Errorf("Export without the passphrase: %v, want ErrLocked", err)
	}
	exported, err := b.Export(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !key.Equal(exported) {
		t.Error("Export gave another key")
	}
}

// Without an answer there is no key: never one without a passphrase.
func TestNoNewPassphrase(t *testing.T) {
	gone := errors.New("the terminal is gone")
	for name, tt := range map[string]struct {
		answer signer.PassphraseFunc
		is     error
	}{
		"empty": {says(""), signer.ErrDenied},
		"error": {func(context.Context, string) ([]byte, error) { return nil, gone }, gone},
	} {
		dir := tempDir(t)
		path := filepath.Join(dir, "new", "key")
		b := &file.Backend{NewPassphrase: tt.answer}
		_, err := b.Generate(t.Context(), path)
		for op, err := range map[string]error{"Generate": err, "Import": b.Import(t.Context(), path, signertest.NewKey(t))} {
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %s = %v, want %q and the path", name, op, err, tt.is)
			}
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("%s: left behind: %q", name, left)
		}
	}
}

func TestNewPassphraseOfExistingKey(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	writeKey(t, path)
	b := &file.Backend{NewPassphrase: func(context.Context, string) ([]byte, error) {
		t.Error("asked for a passphrase")
		return []byte("secret"), nil
	}}
	if _, err := b.Generate(t.Context(), path); !errors.Is(err, signer.ErrExists) {
		t.Errorf("Generate = %v, want ErrExists", err)
	}
}

func TestComment(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	b := &file.Backend{Comment: "jürgen@büro, for the lab"}
	if _, err := b.Generate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if _, comment, _, _, err := ssh.ParseAuthorizedKey(data); err != nil || comment != b.Comment {
		t.Errorf("the .pub has the comment %q, %v", comment, err)
	}
}

// A line break in a .pub file would begin another key.
func TestBadComment(t *testing.T) {
	for _, comment := range []string{
		"two\nssh-ed25519 AAAA", "carriage\rreturn", "bell\a", "\x1b[31mred", "NUL\x00", "C1 \u0085", "not UTF-8 \xff", strings.Repeat("long", 300),
	} {
		dir := tempDir(t)
		b := &file.Backend{Comment: comment}
		_, err := b.Generate(t.Context(), filepath.Join(dir, "key"))
		if err == nil || !strings.Contains(err.Error(), "comment") || strings.Contains(err.Error(), comment) {
			t.Errorf("%q: Generate = %v, want an error about the comment, without it", comment, err)
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("%q: left behind: %q", comment, left)
		}
	}
}

// The longest comment and the largest key make a file that can be read.
func TestLongestComment(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	b := &file.Backend{Comment: string(bytes.Repeat([]byte("x"), 1024))}
	s, err := b.Generate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	checkOpens(t, path, s.PublicKey())
}
