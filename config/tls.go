package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// Transport returns a RoundTripper that connects to the registries with the settings
// "ca" and "certificate" of the file as these say, and to all others with base. If the
// file has no such setting, the result is base.
//
// A "ca" takes the place of the system's certificate authorities. A "certificate" is
// sent to its registry only, never to the target of a redirect on another origin. It is
// read for each connection, so a renewed one is used from then on. Errors of TLS name
// the files.
//
// The result has the method TransportFor of [challenge.Client].Base.
func (c *Config) Transport(base *http.Transport) http.RoundTripper {
	if !c.hasTLS() {
		return base
	}
	return &transport{config: c, base: base, sites: map[*section]http.RoundTripper{}}
}

func (c *Config) hasTLS() bool {
	for _, s := range c.registries {
		if s.hasTLS() {
			return true
		}
	}
	return false
}

func (s *section) hasTLS() bool { return s.ca != "" || s.certificate != "" }

// CheckTLS reads the files of all settings "ca" and "certificate". It returns the errors
// joined: a file that cannot be read or used, a certificate that has expired, and
// signer.ErrInsecure for a private key that others can read.
func (c *Config) CheckTLS() error {
	var errs []error
	for _, name := range c.Registries() {
		s := c.registries[name]
		if s.ca != "" {
			_, err := readAuthorities(s.ca)
			errs = append(errs, err)
		}
		if s.certificate != "" {
			cert, err := readCertificate(s.certificate)
			if err == nil && time.Now().After(cert.Leaf.NotAfter) {
				err = fmt.Errorf("certificate %s expired on %s", printable.Text(s.certificate), cert.Leaf.NotAfter.UTC().Format(time.DateOnly))
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// A transport chooses the transport of each registry.
type transport struct {
	config *Config
	base   *http.Transport

	mu    sync.Mutex
	sites map[*section]http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	o, err := challenge.OriginOf(req.URL)
	if err != nil {
		return t.base.RoundTrip(req) // which reports a malformed URL
	}
	return t.TransportFor(o).RoundTrip(req)
}

// TransportFor returns the transport for requests to o.
func (t *transport) TransportFor(o challenge.Origin) http.RoundTripper {
	s := t.config.origins[o]
	if s == nil || !s.hasTLS() || o.URL().Scheme != "https" {
		return t.base
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sites[s] == nil {
		site, err := newSiteTransport(t.base, s)
		if err != nil {
			return failing{err} // not kept: the file may be mended
		}
		t.sites[s] = site
	}
	return t.sites[s]
}

// CloseIdleConnections closes the idle connections to all registries.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base.CloseIdleConnections()
	for _, site := range t.sites {
		site.(*siteTransport).CloseIdleConnections()
	}
}

// failing is the transport of a registry whose files cannot be used.
type failing struct{ err error }

func (f failing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, f.err
}

// A siteTransport connects to one registry.
type siteTransport struct {
	*http.Transport
	files string // for errors
}

func newSiteTransport(base *http.Transport, s *section) (*siteTransport, error) {
	t := &siteTransport{Transport: base.Clone()}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	var files []string
	if s.ca != "" {
		pool, err := readAuthorities(s.ca)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
		files = append(files, "ca is "+printable.Text(s.ca))
	}
	if s.certificate != "" {
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := readCertificate(s.certificate)
			return &cert, err
		}
		files = append(files, "certificate is "+printable.Text(s.certificate))
	}
	t.files = strings.Join(files, ", ")
	return t, nil
}

// RoundTrip adds the names of the files to errors of TLS.
func (t *siteTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	if isTLSError(err) {
		err = fmt.Errorf("%w (%s)", err, t.files)
	}
	return resp, err
}

// isTLSError knows the errors of certificates and the alerts that package tls sends and
// receives, which it gives as the operations of a net.OpError.
func isTLSError(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return true
	}
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return verification || record
}

// readPEM reads a file that the setting name names.
func readPEM(setting, name string) (data []byte, path string, err error) {
	path, err = new(file.Backend).Path(name)
	if err == nil {
		data, err = readFile(path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s %s: %w", setting, printable.Text(name), err)
	}
	return keyfile.Text(data), path, nil
}

func readAuthorities(name string) (*x509.CertPool, error) {
	data, _, err := readPEM("ca", name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		err := fmt.Errorf("ca %s: no certificate in it can be read", printable.Text(name))
		return nil, signer.WithHint(err, signer.Hint{Do: "put the certificate of the authority there, in PEM", See: "configuration"})
	}
	return pool, nil
}

func readCertificate(name string) (tls.Certificate, error) {
	data, path, err := readPEM("certificate", name)
	if err != nil {
		return tls.Certificate{}, err
	}
	info, err := os.Stat(path)
	if err == nil {
		err = access.CheckReaders("certificate file", path, info)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := tls.X509KeyPair(data, data)
	if err != nil {
		err = fmt.Errorf("certificate %s: %w", printable.Text(name), explainPair(data, err))
		return tls.Certificate{}, signer.WithHint(err, signer.Hint{
			Do:  "put the certificate, the certificates of its authorities and the private key without a passphrase into the file, in PEM",
			See: "configuration",
		})
	}
	return cert, nil
}

// explainPair returns the reason why a file holds no certificate with its key. The error
// of package tls says so only of a file without any PEM.
func explainPair(data []byte, err error) error {
	certificates, keys := 0, 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			certificates++
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			keys++
			if block.Type != "PRIVATE KEY" && block.Type != "EC PRIVATE KEY" && block.Type != "RSA PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
				return fmt.Errorf("the private key has a passphrase or a form that TLS does not use: %s", printable.Text(block.Type))
			}
		}
	}
	switch {
	case certificates == 0:
		return errors.New("it holds no certificate in PEM")
	case keys == 0:
		return errors.New("it holds no private key in PEM")
	}
	return err
}
