package signer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// outside returns a Signer like that of a store outside the process.
func outside(t *testing.T, key crypto.Signer) signer.Signer {
	t.Helper()
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer.AlgorithmFunc(s.PublicKey(), s.(signer.AlgorithmSigner).SignAlgorithm)
}

func toCrypto(t *testing.T, s signer.Signer) crypto.MessageSigner {
	t.Helper()
	k, err := signer.ToCrypto(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// verifyMessage checks a signature with the standard library.
func verifyMessage(pub crypto.PublicKey, msg, sig []byte, opts crypto.SignerOpts) error {
	digest := msg
	if h := opts.HashFunc(); h != 0 {
		sum := h.New()
		sum.Write(msg)
		digest = sum.Sum(nil)
	}
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(pub, msg, sig, &ed25519.Options{})
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(pub, digest, sig) {
			return errors.New("the ECDSA signature does not verify")
		}
		return nil
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(pub, opts.HashFunc(), digest, sig)
	}
	return errors.New("unknown kind of key")
}

// cryptoHashes has the hashes that each kind of key signs with.
var cryptoHashes = map[string][]crypto.Hash{
	"Ed25519":     {0},
	"ECDSA P-256": {crypto.SHA256},
	"ECDSA P-384": {crypto.SHA384},
	"ECDSA P-521": {crypto.SHA512},
	"RSA 2048":    {crypto.SHA512, crypto.SHA256},
}

func TestToCrypto(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			s := toCrypto(t, outside(t, k.key))
			if !s.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.key.Public()) {
				t.Error("it has another public key")
			}
			msg := []byte("hello")
			for _, h := range []crypto.Hash{0, crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256} {
				sig, err := s.SignMessage(nil, msg, h)
				if !slices.Contains(cryptoHashes[k.name], h) {
					wantIs(t, err, signer.ErrUnsupported)
					continue
				}
				if err != nil {
					t.Errorf("%v: %v", h, err)
					continue
				}
				if err := verifyMessage(k.key.Public(), msg, sig, h); err != nil {
					t.Errorf("%v: %v", h, err)
				}
			}
		})
	}
}

func TestToCryptoRefuses(t *testing.T) {
	digest := sha256.Sum256([]byte("hello"))
	long := sha512.Sum512([]byte("hello"))
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			s := toCrypto(t, outside(t, k.key))
			for name, tt := range map[string]struct {
				sign   func() ([]byte, error)
				reason string
			}{
				"a SHA-256 digest": {func() ([]byte, error) { return s.Sign(rand.Reader, digest[:], crypto.SHA256) }, "digest"},
				"a SHA-512 digest": {func() ([]byte, error) { return s.Sign(rand.Reader, long[:], crypto.SHA512) }, "digest"},
				"PSS": {func() ([]byte, error) {
					return s.SignMessage(rand.Reader, nil, &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash})
				}, "PSS"},
				"Ed25519ph": {func() ([]byte, error) {
					return s.SignMessage(rand.Reader, long[:], &ed25519.Options{Hash: crypto.SHA512, Context: "x"})
				}, "context"},
				"Ed25519ctx": {func() ([]byte, error) { return s.SignMessage(rand.Reader, nil, &ed25519.Options{Context: "x"}) }, "context"},
			} {
				sig, err := tt.sign()
				wantIs(t, err, signer.ErrUnsupported)
				if sig != nil || err == nil || !strings.Contains(err.Error(), tt.reason) {
					t.Errorf("%s: got a signature of %d bytes and %v, want the reason %q", name, len(sig), err, tt.reason)
				}
			}
		})
	}
}

// Older programs call Sign with the whole message for Ed25519.
func TestToCryptoSignsEd25519Messages(t *testing.T) {
	key := signertest.NewKey(t)
	s := toCrypto(t, outside(t, key))
	for _, opts := range []crypto.SignerOpts{crypto.Hash(0), &ed25519.Options{}, nil} {
		sig, err := s.Sign(rand.Reader, []byte("hello"), opts)
		if err != nil {
			t.Fatal(err)
		}
		if !ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("hello"), sig) {
			t.Errorf("%T: the signature does not verify", opts)
		}
	}
	if _, err := toCrypto(t, outside(t, newECDSA(t, elliptic.P256()))).Sign(rand.Reader, []byte("hello"), nil); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("ECDSA without a hash: got %v", err)
	}
}

// A Signer without the ability AlgorithmSigner signs with SHA-512 only.
func TestToCryptoWithoutAlgorithms(t *testing.T) {
	key := newRSA(t)
	s := toCrypto(t, plain{outside(t, key)})
	sig, err := s.SignMessage(nil, []byte("hello"), crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyMessage(key.Public(), []byte("hello"), sig, crypto.SHA512); err != nil {
		t.Error(err)
	}
	_, err = s.SignMessage(nil, []byte("hello"), crypto.SHA256)
	wantIs(t, err, signer.ErrUnsupported)
}

func TestToCryptoRefusesKinds(t *testing.T) {
	s := newSigner(t)
	cert := &ssh.Certificate{Key: s.PublicKey(), SignatureKey: s.PublicKey(), CertType: ssh.UserCert}
	if err := cert.SignCert(rand.Reader, signer.ToSSH(t.Context(), s)); err != nil {
		t.Fatal(err)
	}
	_, err := signer.ToCrypto(t.Context(), signer.Func(cert, s.Sign))
	wantIs(t, err, signer.ErrUnsupported)
}

func TestToCryptoEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := signer.ToCrypto(ctx, newSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = s.SignMessage(nil, nil, crypto.Hash(0))
	wantIs(t, err, context.Canceled)
}

// service is a key of another library: neither of the standard library's types,
// nor able to sign without a hash function.
type service struct{ crypto.Signer }

func TestFromCrypto(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			for name, key := range map[string]crypto.Signer{
				"standard library": k.key,
				"digests":          service{k.key},
				"messages":         toCrypto(t, outside(t, k.key)),
			} {
				t.Run(name, func(t *testing.T) {
					s, err := signer.FromCrypto(key)
					if err != nil {
						t.Fatal(err)
					}
					checkAlgorithms(t, s, k.algorithms()...)
				})
			}
		})
	}
}

func TestFromCryptoPointer(t *testing.T) {
	key := signertest.NewKey(t)
	s, err := signer.FromCrypto(&key)
	if err != nil {
		t.Fatal(err)
	}
	checkSign(t, s, ssh.KeyAlgoED25519)
}

func TestFromCryptoRefusesKinds(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"nothing":         nil,
		"nil ECDSA":       (*ecdsa.PrivateKey)(nil),
		"P-224":           newECDSA(t, elliptic.P224()),
		"a service's 224": service{newECDSA(t, elliptic.P224())},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signer.FromCrypto(key)
			wantIs(t, err, signer.ErrUnsupported)
		})
	}
}

// liar signs with another key than it shows.
type liar struct{ shown, used crypto.Signer }

func (l liar) Public() crypto.PublicKey { return l.shown.Public() }

func (l liar) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.used.Sign(rand, digest, opts)
}

func TestFromCryptoVerifies(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"another Ed25519": liar{signertest.NewKey(t), signertest.NewKey(t)},
		"another ECDSA":   liar{newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P256())},
		"another kind":    liar{newECDSA(t, elliptic.P256()), newRSA(t)},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := signer.FromCrypto(key)
			if err != nil {
				t.Fatal(err)
			}
			if sig, err := s.Sign(t.Context(), []byte("hello")); err == nil || sig != nil {
				t.Errorf("got %v, %v, want an error", sig, err)
			}
		})
	}
}

// waiting is a key that waits, as for a finger on a token.
type waiting struct {
	crypto.Signer
	begun, finish chan struct{}
	got           chan string
}

func (w waiting) SignMessage(_ io.Reader, msg []byte, _ crypto.SignerOpts) ([]byte, error) {
	close(w.begun)
	<-w.finish
	w.got <- string(msg)
	return nil, errors.New("too late")
}

func TestFromCryptoAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := waiting{signertest.NewKey(t), make(chan struct{}), make(chan struct{}), make(chan string)}
		s, err := signer.FromCrypto(key)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-key.begun
			cancel()
		}()
		msg := []byte("hello")
		_, err = s.Sign(ctx, msg)
		wantIs(t, err, context.Canceled)

		clear(msg) // the caller owns msg again
		close(key.finish)
		if got := <-key.got; got != "hello" {
			t.Errorf("the abandoned call signs %q", got)
		}
	})
}

func TestToCryptoSignsCertificateRequests(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
				Subject: pkix.Name{CommonName: "me"},
			}, toCrypto(t, outside(t, k.key)))
			if err != nil {
				t.Fatal(err)
			}
			request, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := request.CheckSignature(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestToCryptoOpensTLS(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			err := connect(t, toCrypto(t, outside(t, k.key)))
			if k.name == "RSA 2048" {
				if err == nil || !strings.Contains(err.Error(), signer.ErrUnsupported.Error()) || !strings.Contains(err.Error(), "PSS") {
					t.Errorf("got error %v, want the reason: PSS", err)
				}
				return
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// connect opens a TLS 1.3 connection with a client certificate for key, which key
// itself signs.
func connect(t *testing.T, key crypto.Signer) error {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "me"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	host := newECDSA(t, elliptic.P256())
	hostDER, err := x509.CreateCertificate(rand.Reader, template, template, host.Public(), host)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	received := make(chan error, 1)
	go func() {
		conn := tls.Server(server, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{hostDER}, PrivateKey: host}},
			ClientAuth:   tls.RequireAnyClientCert,
			MinVersion:   tls.VersionTLS13,
		})
		received <- conn.HandshakeContext(t.Context())
		server.Close()
	}()
	conn := tls.Client(client, &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		InsecureSkipVerify: true, // the certificate of the host is not the subject
		MinVersion:         tls.VersionTLS13,
	})
	err = conn.HandshakeContext(t.Context())
	client.Close()
	return errors.Join(err, <-received)
}
