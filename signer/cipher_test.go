package signer_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

// Every cipher that ssh-keygen offers either works, or the error names a
// command that makes it work.
func TestParseCiphers(t *testing.T) {
	var read []string
	for _, cipher := range sshkeygen.Ciphers(t) {
		t.Run(cipher, func(t *testing.T) {
			path := sshkeygen.New(t, "-N", secret, "-Z", cipher)
			pub := sshkeygen.PublicKey(t, path)
			_, err := signer.Parse(t.Context(), readFile(t, path), says(secret))
			if err == nil {
				read = append(read, cipher)
			} else {
				wantIs(t, err, signer.ErrUnsupported)
				wantText(t, err, cipher, "ssh-keygen -p -Z aes256-ctr -f KEYFILE")
				sshkeygen.Change(t, path, "-Z", "aes256-ctr", "-P", secret, "-N", secret)
			}
			checkParse(t, readFile(t, path), says(secret), pub, ssh.KeyAlgoED25519)
		})
	}
	for _, must := range []string{"aes256-ctr", "aes256-cbc"} {
		if !slices.Contains(read, must) {
			t.Errorf("read %q without conversion, want %s among them", read, must)
		}
	}
}

func TestParseEncryptedPKCS8(t *testing.T) {
	for kind, format := range map[string]string{"rsa": ssh.KeyAlgoRSASHA512, "ecdsa": ssh.KeyAlgoECDSA256} {
		t.Run(kind, func(t *testing.T) {
			path := sshkeygen.New(t, "-t", kind, "-m", "PKCS8", "-N", secret)
			_, err := signer.Parse(t.Context(), readFile(t, path), says(secret))
			wantIs(t, err, signer.ErrUnsupported)
			wantText(t, err, "ssh-keygen -p -f KEYFILE")

			sshkeygen.Change(t, path, "-P", secret, "-N", secret)
			checkParse(t, readFile(t, path), says(secret), sshkeygen.PublicKey(t, path), format)
		})
	}
}

// wantText fails unless the text of err has all parts.
func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, want one that says %q", err, part)
		}
	}
}
