//go:build !windows

package file_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

func TestOpenWhatSSHKeygenMakes(t *testing.T) {
	for _, args := range [][]string{
		{"-t", "ed25519"},
		{"-t", "ecdsa", "-b", "256"},
		{"-t", "ecdsa", "-b", "521"},
		{"-t", "rsa", "-b", "2048"},
		{"-t", "rsa", "-b", "2048", "-m", "PEM"},
		{"-t", "ecdsa", "-m", "PKCS8"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			path := sshkeygen.New(t, args...)
			checkOpens(t, path, sshkeygen.PublicKey(t, path))
		})
	}
}

// Each cipher works, or the error names the command that converts the key, and
// the command does.
func TestCiphers(t *testing.T) {
	b := &file.Backend{Passphrase: says("secret")}
	var works []string
	for _, cipher := range sshkeygen.Ciphers(t) {
		path := sshkeygen.New(t, "-N", "secret", "-Z", cipher)
		pub := sshkeygen.PublicKey(t, path)
		s, err := b.Open(t.Context(), path)
		if err == nil {
			works = append(works, cipher)
			checkSigns(t, s, pub)
			continue
		}
		if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), cipher) {
			t.Errorf("%s: Open = %v, want ErrUnsupported and the cipher", cipher, err)
		}
		if !strings.Contains(err.Error(), "ssh-keygen -p -Z aes256-ctr -f") {
			t.Errorf("%s: no help in %v", cipher, err)
		}
		sshkeygen.Change(t, path, "-Z", "aes256-ctr", "-P", "secret", "-N", "secret")
		if s, err = b.Open(t.Context(), path); err != nil {
			t.Fatalf("%s: Open of the converted key: %v", cipher, err)
		}
		checkSigns(t, s, pub)
	}
	if !slices.Contains(works, "aes256-ctr") {
		t.Errorf("only %q work; OpenSSH's default does not", works)
	}
}

// ssh-keygen can read a key that Generate made, and set a passphrase.
func TestSSHKeygenReadsWhatGenerateMakes(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	b := &file.Backend{Passphrase: says("secret")}
	generated, err := b.Generate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	sshkeygen.Change(t, path, "-P", "", "-N", "secret")
	s, err := b.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, s, generated.PublicKey())
	checkSigns(t, s, sshkeygen.PublicKey(t, path))
}

// ssh-keygen can take a passphrase off that Generate set, and finds the comment
// in the key itself.
func TestSSHKeygenReadsWhatGenerateLocks(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	b := &file.Backend{NewPassphrase: says("secret"), Comment: "me at home"}
	generated, err := b.Generate(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	sshkeygen.Change(t, path, "-P", "secret", "-N", "")
	checkOpens(t, path, generated.PublicKey())
	got, err := exec.Command("ssh-keygen", "-y", "-f", path).Output()
	if want := line(generated.PublicKey(), "me at home"); !bytes.Equal(got, want) {
		t.Errorf("ssh-keygen -y has %q, %v, want %q", got, err, want)
	}
}

func TestPassphrase(t *testing.T) {
	path := sshkeygen.New(t, "-N", "correct")
	pub := sshkeygen.PublicKey(t, path)

	var prompts []string
	answer := ""
	b := &file.Backend{Passphrase: func(_ context.Context, prompt string) ([]byte, error) {
		prompts = append(prompts, prompt)
		return []byte(answer), nil
	}}
	s, err := b.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(prompts) != 0 {
		t.Errorf("Open asked for %q: the public half needs no passphrase", prompts)
	}

	answer = "wrong"
	_, err = s.Sign(t.Context(), []byte("message"))
	if !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), path) {
		t.Errorf("Sign with a wrong passphrase: %v, want ErrDenied and the path", err)
	}
	if _, err := b.Export(t.Context(), path); !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), path) {
		t.Errorf("Export with a wrong passphrase: %v, want ErrDenied and the path", err)
	}

	answer, prompts = "correct", nil
	checkSigns(t, s, pub)
	checkSigns(t, s, pub)
	if len(prompts) != 1 {
		t.Fatalf("the user was asked %d times, want once", len(prompts))
	}
	for _, want := range []string{path, ssh.FingerprintSHA256(pub)} {
		if !strings.Contains(prompts[0], want) {
			t.Errorf("the prompt %q lacks %q", prompts[0], want)
		}
	}
	exported, err := b.Export(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(publicKey(t, exported).Marshal(), pub.Marshal()) {
		t.Error("Export gave another key")
	}
}

func TestPassphraseWithoutPrompt(t *testing.T) {
	path := sshkeygen.New(t, "-N", "secret")
	s, err := new(file.Backend).Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), nil); !errors.Is(err, signer.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("Sign = %v, want ErrLocked and the path", err)
	}
}
