// Package tlsfiles serves TLS with a certificate from files, which it reads again when
// they change.
package tlsfiles

import (
	"crypto/tls"
	"fmt"
	"os"

	"github.com/countersign/countersign/gate/watch"
	"github.com/countersign/countersign/internal/printable"
)

// A Certificate is a certificate chain and its key, as their files are now. It is safe
// for concurrent use.
type Certificate struct{ chain *watch.File[*tls.Certificate] }

// Open reads a chain and its key, both in PEM. A renewal changes both. While they do
// not belong together, the last pair stays in use.
func Open(chain, key string) (*Certificate, error) {
	c := &Certificate{}
	var err error
	c.chain, err = watch.Open(chain, func(data []byte) (*tls.Certificate, error) {
		secret, err := os.ReadFile(key)
		if err != nil {
			return nil, printable.Error(err)
		}
		pair, err := tls.X509KeyPair(data, secret)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", printable.Text(chain), printable.Text(key), err)
		}
		return &pair, nil
	})
	return c, err
}

// Files returns the files to look at.
func (c *Certificate) Files() []watch.Watched { return []watch.Watched{c.chain} }

// Config returns a configuration that has the present certificate for each connection.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.chain.Get(), nil },
	}
}
