package signer_test

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// FuzzParse: no input panics, and a key that is read is the same key after it
// was written and read again. With a label, the input is what is inside PEM.
// Nobody gives a passphrase, so that no input costs the rounds of bcrypt that
// it asks for.
func FuzzParse(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add("", seed)
		f.Add("", crlf(seed))
		if block, _ := pem.Decode(seed); block != nil {
			f.Add(block.Type, block.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, label string, data []byte) {
		if label != "" {
			data = pem.EncodeToMemory(&pem.Block{Type: label, Bytes: data})
		}
		s, err := signer.Parse(t.Context(), data, nil)
		if err != nil {
			return
		}
		key, err := signer.ParseRawPrivateKey(t.Context(), data, nil)
		if errors.Is(err, signer.ErrLocked) {
			return
		}
		if err != nil {
			t.Fatalf("Parse reads it and ParseRawPrivateKey does not: %v", err)
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			t.Fatal(err)
		}
		again, err := signer.Parse(t.Context(), pem.EncodeToMemory(block), nil)
		if err != nil {
			t.Fatalf("written and read again: %v", err)
		}
		if !signer.SameKey(again.PublicKey(), s.PublicKey()) {
			t.Error("written and read again, it is another key")
		}
	})
}

// seeds are keys in every form that Parse reads or has to refuse.
func seeds(f *testing.F) [][]byte {
	f.Helper()
	var all [][]byte
	files, err := filepath.Glob("testdata/*_*")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds in testdata: ", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // a folder
		}
		all = append(all, data)
	}
	add := func(kind string, der []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	ec, rs := newECDSA(f, elliptic.P256()), newRSA(f)
	for _, key := range []any{signertest.NewKey(f), ec, rs, agreement} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		add("PRIVATE KEY", der, err)
	}
	for _, key := range []any{ec, newECDSA(f, elliptic.P521()), rs} {
		block, err := ssh.MarshalPrivateKey(key, "comment")
		if err != nil {
			f.Fatal(err)
		}
		add(block.Type, block.Bytes, nil)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	add("EC PRIVATE KEY", der, err)
	add("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil)
	der, err = x509.MarshalPKIXPublicKey(ec.Public())
	add("PUBLIC KEY", der, err)
	all = append(all,
		[]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
		[]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
		[]byte("PuTTY-User-Key-File-3: ssh-ed25519\n"),
		ssh.MarshalAuthorizedKey(newSigner(f).PublicKey()),
	)
	return all
}
