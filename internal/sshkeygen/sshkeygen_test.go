package sshkeygen_test

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/sshkeygen"
)

func TestNew(t *testing.T) {
	path := sshkeygen.New(t, "-t", "ecdsa", "-b", "384", "-N", "secret")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKeyWithPassphrase(data, []byte("secret"))
	if err != nil {
		t.Fatalf("options after the defaults must win: %v", err)
	}
	if got, want := ssh.FingerprintSHA256(sshkeygen.PublicKey(t, path)), ssh.FingerprintSHA256(key.PublicKey()); got != want {
		t.Errorf("PublicKey has %s, the key %s", got, want)
	}
}

func TestCiphers(t *testing.T) {
	if got := sshkeygen.Ciphers(t); !slices.Contains(got, "aes256-ctr") {
		t.Errorf("ciphers %q lack OpenSSH's default", got)
	}
}
