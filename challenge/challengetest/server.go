package challengetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// A server serves HTTP on one listener. It takes the place of
// net/http/httptest.Server, because the command contains this package and must
// not contain the testing packages.
type server struct {
	http  *http.Server
	tasks sync.WaitGroup // the accept loop and one task for each connection
}

// startServer serves h on l, with TLS if certificate is not nil. The context of
// each request ends with ctx.
func startServer(ctx context.Context, l net.Listener, certificate *tls.Certificate, h http.Handler) *server {
	s := &server{}
	s.http = &http.Server{
		Handler:     h,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState:   s.count,
		ErrorLog:    log.New(io.Discard, "", 0), // tests hang up on purpose
	}
	if certificate != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*certificate}})
	}
	s.tasks.Go(func() { _ = s.http.Serve(l) }) // returns ErrServerClosed
	return s
}

// count counts the connections that have a goroutine.
func (s *server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew: // called by the accept loop, so tasks is not zero
		s.tasks.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.tasks.Done()
	}
}

// close closes the listener and all connections, and waits until no goroutine is
// left.
func (s *server) close() {
	_ = s.http.Close()
	s.tasks.Wait()
}

// newCertificate returns a certificate for the loopback names, and the pool of a
// client that trusts it.
func newCertificate() (*tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// A test's clock may be years away; testing/synctest starts in 2000.
		NotBefore:             time.Unix(0, 0),
		NotAfter:              time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(parsed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, trusted, nil
}
