package signer_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

// secret is the passphrase of every locked key here.
const secret = "correct horse"

// keygen returns a new key, as ssh-keygen wrote it, and its public half.
func keygen(t testing.TB, args ...string) ([]byte, ssh.PublicKey) {
	t.Helper()
	path := sshkeygen.New(t, args...)
	return readFile(t, path), sshkeygen.PublicKey(t, path)
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// says is a user who always gives this passphrase.
func says(passphrase string) signer.PassphraseFunc {
	return func(context.Context, string) ([]byte, error) { return []byte(passphrase), nil }
}

func crlf(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")) }
