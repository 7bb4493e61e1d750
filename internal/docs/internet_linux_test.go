package docs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/tlstest"
	"github.com/countersign/countersign/internal/vaulttest"
)

// startInternet starts what is behind the names on the pages, and returns the
// environment in which programs find it: a proxy, and a certificate to trust.
func startInternet(t *testing.T, dir string) []string {
	t.Helper()
	hosts := map[string]http.Handler{
		"registry.ollama.ai":   forward(t, challengetest.Config{Realm: "https://ollama.com/v2/token"}),
		"registry.example.com": forward(t, challengetest.Config{Realm: "https://registry.example.com/v2/token"}),
		"ollama.com":           nil,
	}
	keyService := vaulttest.New(nil)
	keyService.AddEngine("transit")
	hosts["vault.example.com"] = keyService
	signIn := somebodySignsIn(forward(t, challengetest.Config{SignIn: true}))
	hosts["ollama.com"] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v2/token" {
			hosts["registry.ollama.ai"].ServeHTTP(w, req)
			return
		}
		signIn.ServeHTTP(w, req)
	})
	certificate, authority := certify(t, hosts)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		hosts[req.Host].ServeHTTP(w, req)
	}))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	web.StartTLS()
	t.Cleanup(web.Close)
	proxy := httptest.NewServer(tlstest.Tunnel(web.Listener.Addr().String()))
	t.Cleanup(proxy.Close)
	file := filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + file, "VAULT_TEST_TOKEN=" + keyService.Root}
}

// forward starts a registry that has library/llama3.
func forward(t *testing.T, c challengetest.Config) http.Handler {
	t.Helper()
	r, err := challengetest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.AddImage("library/llama3", "latest", []byte("weights"))
	to, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(to)
}

// somebodySignsIn presses the button of the page that an unknown key is sent to.
func somebodySignsIn(site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := httptest.NewRecorder()
		site.ServeHTTP(answer, req)
		var refused struct {
			Page string `json:"signin_url"`
		}
		if json.Unmarshal(answer.Body.Bytes(), &refused) == nil && refused.Page != "" {
			site.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, refused.Page, nil))
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		io.Copy(w, bytes.NewReader(answer.Body.Bytes()))
	})
}

// certify returns a certificate for all hosts, and itself as who to trust.
func certify(t *testing.T, hosts map[string]http.Handler) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	for host := range hosts {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
