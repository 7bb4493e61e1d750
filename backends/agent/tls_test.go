package agent_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/agenttest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// TestCertificates gives an ssh-agent a key, and uses it as the private key of a
// certificate: it signs a request, and opens a TLS 1.3 connection.
func TestCertificates(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	authority, caKey := newAuthority(t)
	for name, key := range map[string]crypto.Signer{"Ed25519": signertest.NewKey(t), "ECDSA": ec, "RSA": rs} {
		t.Run(name, func(t *testing.T) {
			private := inAgent(t, key)
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "me"}}, private)
			if err != nil {
				t.Fatal(err)
			}
			request, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := request.CheckSignature(); err != nil {
				t.Fatal(err)
			}

			template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: request.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotAfter: authority.NotAfter}
			cert, err := x509.CreateCertificate(rand.Reader, template, authority, request.PublicKey, caKey)
			if err != nil {
				t.Fatal(err)
			}
			err = handshake(t, authority, caKey, tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: private})
			if name != "RSA" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			// crypto/tls keeps the text of an error and does not wrap it.
			if err == nil || !strings.Contains(err.Error(), "PSS") {
				t.Errorf("got error %v, want the reason: PSS", err)
			}
			_, err = private.SignMessage(rand.Reader, []byte("hello"), &rsa.PSSOptions{Hash: crypto.SHA256})
			if !errors.Is(err, signer.ErrUnsupported) {
				t.Errorf("got error %v, want ErrUnsupported", err)
			}
		})
	}
}

// inAgent returns a private key that is in a new ssh-agent only.
func inAgent(t *testing.T, key crypto.Signer) crypto.MessageSigner {
	t.Helper()
	b := &agent.Backend{Socket: agenttest.StartOpenSSH(t).Socket}
	if err := b.Import(t.Context(), "me", key); err != nil {
		t.Fatal(err)
	}
	s, err := b.Open(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	private, err := signer.ToCrypto(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// newAuthority returns a certificate that signs others, and its key. The server uses
// it too.
func newAuthority(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := signertest.NewKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, DNSNames: []string{"server.example"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	template.NotAfter = template.NotBefore.AddDate(3000, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// handshake opens a TLS 1.3 connection to a server that wants a client certificate of
// the authority.
func handshake(t *testing.T, authority *x509.Certificate, key crypto.Signer, cert tls.Certificate) error {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	client, server := net.Pipe()
	defer client.Close()
	received := make(chan error, 1)
	go func() {
		defer server.Close()
		received <- tls.Server(server, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{authority.Raw}, PrivateKey: key}},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13,
		}).HandshakeContext(t.Context())
	}()
	err := tls.Client(client, &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: "server.example", MinVersion: tls.VersionTLS13,
	}).HandshakeContext(t.Context())
	client.Close()
	return errors.Join(err, <-received)
}
