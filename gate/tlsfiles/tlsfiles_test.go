package tlsfiles_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/tlsfiles"
	"github.com/countersign/countersign/internal/tlstest"
)

// TestRenewal wants the last pair that belongs together to be served.
func TestRenewal(t *testing.T) {
	authority, dir := tlstest.New(t), t.TempDir()
	chain, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair := func() []byte {
		data, err := os.ReadFile(authority.Pair(time.Now().Add(time.Hour), "reg.example"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := pair(), pair()
	write(chain, first)
	if _, err := tlsfiles.Open(chain, key); err == nil || !strings.Contains(err.Error(), "tls.key") {
		t.Errorf("without a key: %v", err)
	}
	write(key, second)
	if _, err := tlsfiles.Open(chain, key); err == nil || !strings.Contains(err.Error(), "tls.crt and ") {
		t.Errorf("with the key of another certificate: %v", err)
	}
	write(key, first)
	c, err := tlsfiles.Open(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	files := c.Files()
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	config := c.Config()
	if config.MinVersion != tls.VersionTLS12 || strings.Join(config.NextProtos, " ") != "h2 http/1.1" {
		t.Errorf("the configuration has version %x and protocols %q", config.MinVersion, config.NextProtos)
	}
	served := func() string {
		got, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.SerialNumber.String() + string(got.Certificate[0])
	}
	before := served()
	write(chain, second)
	files[0].Reload()
	if served() != before || files[0].Err() == nil {
		t.Errorf("half a renewal is served, error %v", files[0].Err())
	}
	write(key, second)
	files[0].Reload()
	if served() == before || files[0].Err() != nil {
		t.Errorf("the renewal is not served, error %v", files[0].Err())
	}
}
