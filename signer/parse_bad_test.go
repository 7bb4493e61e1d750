package signer_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A header is the beginning of an OpenSSH private key (PROTOCOL.key).
type header struct {
	Cipher, KDF, KDFOptions string
	N                       uint32
	Pub                     []byte
	Private                 []byte
	Rest                    []byte `ssh:"rest"`
}

const magic = "openssh-key-v1\x00"

func (h header) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: append([]byte(magic), ssh.Marshal(h)...)})
}

func readHeader(t testing.TB, data []byte) (h header) {
	t.Helper()
	block, _ := pem.Decode(data)
	if err := ssh.Unmarshal(block.Bytes[len(magic):], &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func plainHeader(pub []byte) header {
	return header{Cipher: "none", KDF: "none", N: 1, Pub: pub, Private: make([]byte, 64)}
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// A bad input and a part of its error. The error is ErrUnsupported if another
// program can convert the key.
type bad struct {
	name        string
	data        []byte
	says        string
	unsupported bool
}

func badKeys(t *testing.T) []bad {
	data, pub := keygen(t)
	locked, _ := keygen(t, "-N", secret)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	securityKey := ssh.Marshal(struct {
		Kind        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, make([]byte, 32), "ssh:"})
	certificate := &ssh.Certificate{Key: pub, CertType: ssh.UserCert}
	if err := certificate.SignCert(rand.Reader, newSSH(t, signertest.NewKey(t))); err != nil {
		t.Fatal(err)
	}
	mixed := signertest.NewKey(t)
	copy(mixed[32:], signertest.NewKey(t)[32:])
	mixedBlock, err := ssh.MarshalPrivateKey(mixed, "")
	if err != nil {
		t.Fatal(err)
	}
	spliced := readHeader(t, data)
	_, otherPub := keygen(t)
	spliced.Pub = otherPub.Marshal()
	lines := bytes.SplitAfter(data, []byte("\n"))

	return []bad{
		{"nothing", nil, "empty (0 bytes)", false},
		{"white space", []byte(" \r\n\t\n"), "empty (5 bytes)", false},
		{"text", []byte("hello"), "5 bytes that are neither OpenSSH nor PEM", false},
		{"binary", []byte("\x00\xff\x00"), "neither OpenSSH nor PEM", false},

		{"public key", ssh.MarshalAuthorizedKey(pub), "public key", false},
		{"public key, PEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), "public key", false},
		{"public key, RFC 4716", []byte("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n"), "public key", false},
		{"certificate for SSH", ssh.MarshalAuthorizedKey(certificate), "public key", false},

		{"two keys", slices.Concat(data, data), "more than one private key", false},
		{"two kinds", slices.Concat(pkcs8(t, signertest.NewKey(t)), data), "more than one private key", false},
		{"a damaged key before another", slices.Concat(data[:200], []byte("\n"), data), "more than one private key", false},
		{"a whole key before a damaged one", slices.Concat(data, data[:200]), "more than one private key", false},

		{"no BEGIN", slices.Concat(lines[1:]...), "damaged", false},
		{"no END", slices.Concat(lines[:len(lines)-2]...), "damaged", false},
		{"a line lost", slices.Concat(slices.Delete(slices.Clone(lines), 2, 3)...), "damaged", false},
		{"one line", bytes.ReplaceAll(data, []byte("\n"), []byte(" ")), "lines are broken", false},
		{"literal newlines", bytes.ReplaceAll(data, []byte("\n"), []byte(`\n`)), "lines are broken", false},
		{"indented", bytes.ReplaceAll(data, []byte("\n"), []byte("\n  ")), "damaged", false},
		{"empty block", pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY"}), "damaged", false},
		{"empty PKCS#8", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}), "damaged", false},
		{"wrong label", bytes.ReplaceAll(data, []byte("OPENSSH"), []byte("EC")), "damaged", false},
		{"halves of two keys", pem.EncodeToMemory(mixedBlock), "do not belong together", false},
		{"header of another key", spliced.pem(), "belongs to another private key", false},
		{"plain under a locked header", unlockedCipher(readHeader(t, locked)).pem(), "damaged", false},

		{"PuTTY", []byte("PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n"), "puttygen", true},
		{"security key", plainHeader(securityKey).pem(), "FIDO", true},
		{"certificate as a key", plainHeader(certificate.Marshal()).pem(), certificate.Type(), true},
		{"DSA, OpenSSH", readFile(t, "testdata/dsa_openssh"), "ssh-dss", true},
		{"DSA, PEM", readFile(t, "testdata/dsa_pem"), "dsa", true},
		{"X25519", pkcs8(t, x25519), "Ed25519, ECDSA or RSA", true},
		{"P-224", pkcs8(t, newECDSA(t, elliptic.P224())), "P-256", true},
	}
}

// unlockedCipher pretends that an encrypted key is not.
func unlockedCipher(h header) header {
	h.Cipher, h.KDF, h.KDFOptions = "none", "none", ""
	return h
}

func TestParseBad(t *testing.T) {
	for _, tt := range badKeys(t) {
		t.Run(tt.name, func(t *testing.T) {
			_, err := signer.Parse(t.Context(), tt.data, says(secret))
			wantText(t, err, tt.says)
			_, again := signer.ParseRawPrivateKey(t.Context(), tt.data, says(secret))
			wantText(t, again, tt.says)
			for _, sentinel := range sentinels {
				if want := tt.unsupported && sentinel == signer.ErrUnsupported; errors.Is(err, sentinel) != want || errors.Is(again, sentinel) != want {
					t.Errorf("errors.Is(%v, %q) is %t", err, sentinel, !want)
				}
			}
		})
	}
}

// A key cut anywhere is refused. Only the last newline may be missing.
func TestParseTruncated(t *testing.T) {
	plain, _ := keygen(t)
	locked, _ := keygen(t, "-N", secret)
	for name, data := range map[string][]byte{"plain": plain, "locked": locked, "PKCS#8": pkcs8(t, signertest.NewKey(t))} {
		for n := range len(data) - 1 {
			if _, err := signer.Parse(t.Context(), data[:n], nil); err == nil {
				t.Errorf("%s: took the first %d of %d bytes", name, n, len(data))
			}
		}
		if _, err := signer.Parse(t.Context(), data[:len(data)-1], nil); err != nil {
			t.Errorf("%s without its last newline: %v", name, err)
		}
	}
}

// A damaged byte never makes another key of it.
func TestParseDamaged(t *testing.T) {
	data, pub := keygen(t)
	for i := range data {
		damaged := bytes.Clone(data)
		damaged[i] ^= 1
		s, err := signer.Parse(t.Context(), damaged, nil)
		if err != nil {
			continue // the rest is comment, padding and white space
		}
		if !signer.SameKey(s.PublicKey(), pub) {
			t.Errorf("byte %d: another public key", i)
		}
		checkSign(t, s, ssh.KeyAlgoED25519)
	}
}

// The header of a key is not trusted with the terminal.
func TestParseQuotesTheFile(t *testing.T) {
	evil := "\x1b[31mred\n"
	pub := ssh.Marshal(struct{ Kind string }{evil})
	withCipher := plainHeader(newSigner(t).PublicKey().Marshal())
	withCipher.Cipher = evil
	for _, h := range []header{plainHeader(pub), withCipher} {
		_, err := signer.Parse(t.Context(), h.pem(), nil)
		if err == nil || strings.Contains(err.Error(), evil) {
			t.Errorf("got %v", err)
		}
	}
}
