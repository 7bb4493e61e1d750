package main

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/tlstest"
)

// TestCertificatesOfTheConfiguration uses a registry with a private authority that wants
// a certificate from its clients.
func TestCertificatesOfTheConfiguration(t *testing.T) {
	servers, clients := tlstest.New(t), tlstest.New(t)
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

	sh := commandShell{t, t.TempDir(), append(os.Environ(), "OLLAMA_KEY="+strings.Repeat("01", 32))}
	sh.env = append(sh.env, "COUNTERSIGN_CONFIG="+filepath.Join(sh.dir, "config.toml"))
	configure := func(ca, certificate string) {
		text := fmt.Sprintf("[registry.%q]\nca = %q\ncertificate = %q\n", strings.TrimPrefix(front.URL, "https://"), ca, certificate)
		writeFile(t, filepath.Join(sh.dir, "config.toml"), text)
	}
	image := front.URL + "/v2/library/demo/manifests/latest"
	ca, certificate := servers.File(), clients.Pair(time.Now().Add(time.Hour))
	commands := []string{"get " + image, "token " + image, "connect " + front.URL, "doctor " + front.URL, "whoami " + front.URL}

	configure(ca, certificate)
	for _, c := range commands {
		sh.run(0, "", append([]string{"countersign"}, strings.Fields(c)...)...)
	}

	wrong := clients.File()
	configure(wrong, certificate)
	for _, c := range commands[:4] {
		told := sh.run(1, "", "sh", "-c", "exec countersign "+c+" 2>&1")
		if !strings.Contains(told, "ca is "+wrong) || !strings.Contains(told, "x509: ") {
			t.Errorf("%s with another authority tells %q", c, told)
		}
	}

	writeFile(t, filepath.Join(sh.dir, "config.toml"), "")
	for _, c := range commands[:4] {
		told := sh.run(1, "", "sh", "-c", "exec countersign "+c+" 2>&1")
		if !strings.Contains(told, `ca = "FILE" below [registry."HOST"]`) {
			t.Errorf("%s without a setting tells %q", c, told)
		}
	}

	expired := clients.Pair(time.Now().Add(-time.Hour))
	configure(ca, expired)
	if told := sh.run(1, "", "countersign", "doctor"); !strings.Contains(told, expired+" expired on") {
		t.Errorf("doctor tells %q", told)
	}
}
