package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/httpclient"
	"github.com/countersign/countersign/internal/tlstest"
	"github.com/countersign/countersign/signer"
)

// startTLSRegistry starts a registry behind a server that wants a certificate of
// clients. It returns the origin and the URL of an image there.
func startTLSRegistry(t *testing.T, servers, clients *tlstest.Authority) (origin, image string) {
	t.Helper()
	var proxy http.Handler
	front := servers.Start(clients, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { proxy.ServeHTTP(w, req) }))
	registry, err := challengetest.Start(challengetest.Config{Realm: front.URL + "/v2/token"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	registry.AddImage("library/demo", "latest", []byte("hello"))
	to, err := url.Parse(registry.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy = httputil.NewSingleHostReverseProxy(to)
	return front.URL, front.URL + "/v2/library/demo/manifests/latest"
}

func parseTLS(t *testing.T, origin, settings string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(fmt.Sprintf("[registry.%q]\n%s\n", strings.TrimPrefix(origin, "https://"), settings)), "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func getImage(t *testing.T, c *config.Config, image string) error {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	keys := backends.New()
	if _, err := keys.File.Generate(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &challenge.Transport{Client: c.Client(keys, config.Query{Flag: "file:" + key})}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(image)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "schemaVersion") {
		t.Errorf("got %s, %q, %v", resp.Status, body, err)
	}
	return nil
}

// TestCertificatesOfRegistry gets an image and its token from a registry with a private
// authority that wants a certificate. All errors of TLS name the files.
func TestCertificatesOfRegistry(t *testing.T) {
	servers, clients := tlstest.New(t), tlstest.New(t)
	origin, image := startTLSRegistry(t, servers, clients)
	ca, otherCA := servers.File(), clients.File()
	certificate, otherCertificate := clients.Pair(time.Now().Add(time.Hour)), servers.Pair(time.Now().Add(time.Hour))
	expired := clients.Pair(time.Now().Add(-time.Hour))
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for name, tt := range map[string]struct {
		settings string
		want     []string // in the error; none: no error
	}{
		"both":                         {fmt.Sprintf("ca = %q\ncertificate = %q", ca, certificate), nil},
		"no setting":                   {"", []string{"x509: "}},
		"no certificate":               {fmt.Sprintf("ca = %q", ca), []string{"remote error", ca}},
		"another authority":            {fmt.Sprintf("ca = %q\ncertificate = %q", otherCA, certificate), []string{"x509: ", otherCA}},
		"the system's authorities":     {fmt.Sprintf("certificate = %q", certificate), []string{"x509: ", certificate}},
		"a certificate of another":     {fmt.Sprintf("ca = %q\ncertificate = %q", ca, otherCertificate), []string{"remote error", ca, otherCertificate}},
		"an expired certificate":       {fmt.Sprintf("ca = %q\ncertificate = %q", ca, expired), []string{"remote error", ca, expired}},
		"no file with the authority":   {fmt.Sprintf("ca = %q", missing), []string{"ca " + missing, "no such file"}},
		"no file with the certificate": {fmt.Sprintf("ca = %q\ncertificate = %q", ca, missing), []string{"certificate " + missing, "no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := getImage(t, parseTLS(t, origin, tt.settings), image)
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got error %v, want one with %q", err, tt.want)
			}
			for _, text := range tt.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q lacks %q", err, text)
				}
			}
		})
	}
}

// A certificate is for its registry. Other servers, and the target of a redirect, get
// none and are checked as ever.
func TestCertificateStaysWithItsRegistry(t *testing.T) {
	servers, clients := tlstest.New(t), tlstest.New(t)
	other := servers.Start(clients, http.NotFoundHandler())
	registry := servers.Start(nil, http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	c := parseTLS(t, registry.URL, fmt.Sprintf("ca = %q\ncertificate = %q", servers.File(), clients.Pair(time.Now().Add(time.Hour))))
	client := &http.Client{Transport: c.Transport(httpclient.NewTransport())}
	defer client.CloseIdleConnections()
	if _, err := client.Get(registry.URL); err == nil || !strings.Contains(err.Error(), other.URL) || strings.Contains(err.Error(), "certificate is") {
		t.Errorf("the target of a redirect: %v, want the error of an unknown authority", err)
	}
	resp, err := client.Get(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	base := httpclient.NewTransport()
	if got := new(config.Config).Transport(base); got != base {
		t.Errorf("without settings the transport is %T, want base", got)
	}
}

// A renewed certificate is used for the next connection.
func TestCertificateIsReadAgain(t *testing.T) {
	servers, clients := tlstest.New(t), tlstest.New(t)
	server := servers.Start(clients, http.NotFoundHandler())
	file := clients.Pair(time.Now().Add(-time.Hour))
	c := parseTLS(t, server.URL, fmt.Sprintf("ca = %q\ncertificate = %q", servers.File(), file))
	client := &http.Client{Transport: c.Transport(httpclient.NewTransport())}
	defer client.CloseIdleConnections()
	if _, err := client.Get(server.URL); err == nil {
		t.Fatal("an expired certificate was accepted")
	}
	if err := os.Rename(clients.Pair(time.Now().Add(time.Hour)), file); err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestCheckTLS(t *testing.T) {
	authority := tlstest.New(t)
	good, ca := authority.Pair(time.Now().Add(time.Hour)), authority.File()
	write := func(text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "file.pem")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, _ := strings.Cut(string(pair), "-----BEGIN PRIVATE KEY")
	key = "-----BEGIN PRIVATE KEY" + key
	for name, tt := range map[string]struct{ setting, path, want string }{
		"authority":             {"ca", ca, ""},
		"authority, UTF-8 mark": {"ca", write("\ufeff"+certificate, 0o644), ""},
		"certificate":           {"certificate", good, ""},
		"no authority":          {"ca", write("hello", 0o644), "no certificate in it can be read"},
		"expired":               {"certificate", authority.Pair(time.Now().Add(-time.Hour)), "expired on 20"},
		"no key":                {"certificate", write(certificate, 0o600), "it holds no private key in PEM"},
		"no certificate":        {"certificate", write(key, 0o600), "it holds no certificate in PEM"},
		"a locked key":          {"certificate", write(certificate+"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcG\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600), "has a passphrase or a form that TLS does not use"},
		"an empty file":         {"certificate", write("", 0o600), "it holds no certificate in PEM"},
		"a missing file":        {"certificate", filepath.Join(t.TempDir(), "no.pem"), "no such file"},
	} {
		err := parseTLS(t, "https://registry.example.com", fmt.Sprintf("%s = %q", tt.setting, tt.path)).CheckTLS()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path)) {
			t.Errorf("%s: got error %v, want %q", name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), strings.Split(key, "\n")[1][:16]) {
			t.Errorf("%s: the error has the key in it", name)
		}
	}
	open := parseTLS(t, "https://registry.example.com", fmt.Sprintf("certificate = %q", write(string(pair), 0o644)))
	if err := open.CheckTLS(); !errors.Is(err, signer.ErrInsecure) {
		t.Errorf("a private key that others can read: %v, want ErrInsecure", err)
	}
}

func ExampleConfig_Transport() {
	c, err := config.Parse([]byte("[registry.\"registry.example.com\"]\nca = \"/etc/countersign/ca.pem\"\n"), "config.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	client := &http.Client{Transport: c.Transport(base)}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://registry.example.com/v2/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Do(req)
	fmt.Println(err)
	// Output:
	// Get "https://registry.example.com/v2/": ca /etc/countersign/ca.pem: stat /etc/countersign/ca.pem: no such file or directory
}
