package signer_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

// checkParse fails unless Parse and ParseRawPrivateKey both read the key.
func checkParse(t *testing.T, data []byte, passphrase signer.PassphraseFunc, pub ssh.PublicKey, format string) {
	t.Helper()
	s, err := signer.Parse(t.Context(), data, passphrase)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if !signer.SameKey(s.PublicKey(), pub) {
		t.Error("Parse gives another public key")
	}
	checkSign(t, s, format)

	key, err := signer.ParseRawPrivateKey(t.Context(), data, passphrase)
	if err != nil {
		t.Fatalf("ParseRawPrivateKey: %v", err)
	}
	s, err = signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	if !signer.SameKey(s.PublicKey(), pub) {
		t.Error("ParseRawPrivateKey gives another key")
	}
}

func TestParse(t *testing.T) {
	kinds := []struct {
		name, format string
		args         []string
	}{
		{"Ed25519", ssh.KeyAlgoED25519, []string{"-t", "ed25519"}},
		{"ECDSA P-256", ssh.KeyAlgoECDSA256, []string{"-t", "ecdsa", "-b", "256"}},
		{"ECDSA P-384", ssh.KeyAlgoECDSA384, []string{"-t", "ecdsa", "-b", "384"}},
		{"ECDSA P-521", ssh.KeyAlgoECDSA521, []string{"-t", "ecdsa", "-b", "521"}},
		{"RSA 2048", ssh.KeyAlgoRSASHA512, []string{"-t", "rsa", "-b", "2048"}},
		{"RSA 3072", ssh.KeyAlgoRSASHA512, []string{"-t", "rsa", "-b", "3072"}},
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			path := sshkeygen.New(t, k.args...)
			pub := sshkeygen.PublicKey(t, path)
			checkParse(t, readFile(t, path), nil, pub, k.format)

			for _, as := range []string{"RFC4716", "PEM", "PKCS8"} { // RFC4716 is OpenSSH's own
				sshkeygen.Change(t, path, "-m", as, "-P", "", "-N", "")
				checkParse(t, readFile(t, path), nil, pub, k.format)
			}
			for _, as := range []string{"RFC4716", "PEM"} {
				sshkeygen.Change(t, path, "-m", as, "-P", "", "-N", secret)
				checkParse(t, readFile(t, path), says(secret), pub, k.format)
				sshkeygen.Change(t, path, "-m", as, "-P", secret, "-N", "")
			}
		})
	}
}

// What editors, clipboards and openssl do to a key.
func TestParseSurroundings(t *testing.T) {
	data, pub := keygen(t)
	locked, lockedPub := keygen(t, "-N", secret)
	ec := newECDSA(t, elliptic.P256())
	ecPub, err := ssh.NewPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	withParameters := slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")}), // prime256v1
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
	)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("any")})

	tests := []struct {
		name   string
		data   []byte
		pub    ssh.PublicKey
		format string
	}{
		{"CRLF", crlf(data), pub, ssh.KeyAlgoED25519},
		{"no final newline", bytes.TrimSpace(data), pub, ssh.KeyAlgoED25519},
		{"CRLF without the last", bytes.TrimSpace(crlf(data)), pub, ssh.KeyAlgoED25519},
		{"empty lines", slices.Concat([]byte("\n\n"), data, []byte("\n\n")), pub, ssh.KeyAlgoED25519},
		{"text around", slices.Concat([]byte("my key\n"), data, []byte("keep it safe\n")), pub, ssh.KeyAlgoED25519},
		{"beside a certificate", slices.Concat(certificate, data, certificate), pub, ssh.KeyAlgoED25519},
		{"beside its public key", slices.Concat(data, ssh.MarshalAuthorizedKey(pub)), pub, ssh.KeyAlgoED25519},
		{"EC PARAMETERS", withParameters, ecPub, ssh.KeyAlgoECDSA256},
		{"locked, CRLF", crlf(locked), lockedPub, ssh.KeyAlgoED25519},
		{"locked, no final newline", bytes.TrimSpace(locked), lockedPub, ssh.KeyAlgoED25519},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkParse(t, tt.data, says(secret), tt.pub, tt.format)
		})
	}
}

func TestParseKeepsNoData(t *testing.T) {
	for name, args := range map[string][]string{"plain": nil, "locked": {"-N", secret}} {
		data, _ := keygen(t, args...)
		s, err := signer.Parse(t.Context(), data, says(secret))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		clear(data)
		checkSign(t, s, ssh.KeyAlgoED25519)
	}
}
