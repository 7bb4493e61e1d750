package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const (
	maxHeader        = 64 << 10 // bytes
	maxCertificates  = 4 << 20  // bytes of a CA file
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 30 * time.Second
	idleConnections  = 16
)

// variable returns the value of BAO_name, or else of VAULT_name. bao prefers its own
// variables in the same way.
func variable(name string) string { return cmp.Or(os.Getenv("BAO_"+name), os.Getenv("VAULT_"+name)) }

// CheckAddress returns the error with which a Backend would refuse this Address.
func CheckAddress(address string) error {
	_, err := parseAddress(address)
	return err
}

// parseAddress returns the URL to which the paths of the API are added.
func parseAddress(address string) (*url.URL, error) {
	if address == "" {
		err := fmt.Errorf("%w: no Vault or OpenBao server is configured", signer.ErrUnavailable)
		return nil, signer.WithHint(err, signer.Hint{Do: "set address in the section [vault] of the configuration, or VAULT_ADDR"})
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, signer.WithHint(errors.New("the address of the Vault server is not a URL with https, a host and perhaps a port"), // it may hold a password
			signer.Hint{Do: "write it like https://vault.example.com:8200"})
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		err := fmt.Errorf("%w: plain http to %s would show the token to the network", signer.ErrInsecure, printable.Text(u.Host))
		return nil, signer.WithHint(err, signer.Hint{Do: "use https; plain http is for a server on this machine"})
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, _ := netip.ParseAddr(host) // the zero Addr is no loopback address
	return strings.EqualFold(host, "localhost") || ip.IsLoopback()
}

// newTransport returns a transport for the server at u.
func newTransport(u *url.URL, caFile string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment, // it leaves out this machine
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    idleConnections,
	}
	if u.Scheme == "http" {
		t.Proxy = nil
		t.DialContext = (&net.Dialer{ControlContext: refuseOtherMachines}).DialContext
		return t, nil
	}
	if caFile == "" {
		return t, nil
	}
	roots, err := readCertificates(caFile)
	if err != nil {
		return nil, fmt.Errorf("CA file of the Vault server: %w", err)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	return t, nil
}

// refuseOtherMachines sees the address that is dialled: a resolver may send
// "localhost" to another machine.
func refuseOtherMachines(_ context.Context, _, address string, _ syscall.RawConn) error {
	if ip, err := netip.ParseAddrPort(address); err != nil || !ip.Addr().IsLoopback() {
		return fmt.Errorf("%w: plain http would leave this machine", signer.ErrInsecure)
	}
	return nil
}

func readCertificates(path string) (*x509.CertPool, error) {
	path, err := expand(path)
	if err != nil {
		return nil, err
	}
	shown := printable.Text(path)
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.New(printable.Error(err).Error()) // the file is absent, the key may be there
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", shown)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.New(printable.Error(err).Error())
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCertificates))
	if err != nil {
		return nil, printable.Error(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s has no certificate in PEM", shown)
	}
	return pool, nil
}

// expand puts the home directory in place of a leading ~.
func expand(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && !os.IsPathSeparator(rest[0]) {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home directory for ~: %w", err)
	}
	return filepath.Join(home, rest), nil
}
