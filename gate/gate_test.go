package gate_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate"
	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/signer"
)

func admin(t *testing.T, g *gatetest.Gate, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	g.AdminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestAdmin(t *testing.T) {
	g := gatetest.Start(t, gatetest.Options{})
	key := gatetest.NewKey(t)
	g.Write(setup.AuthorizedFile, signer.AuthorizedKey(key.PublicKey())+" alice\nnonsense\n")
	g.Reload()
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := admin(t, g, path); code != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	res, err := http.Get(g.URL + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	_, body := admin(t, g, "/metrics")
	for _, want := range []string{
		"countersignd_keys 1\n", "countersignd_disabled_key_lines 1\n", "countersignd_failing_files 0\n",
		fmt.Sprintf(`countersignd_decisions_total{granted="false",site=%q,status="401"} 1`, g.Origin),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	if !strings.Contains(g.Messages.String(), "line=2") {
		t.Errorf("the log does not name the line with the mistake:\n%s", g.Messages)
	}
}

func TestRule06_ReadyTellsOfFiles(t *testing.T) {
	g := gatetest.Start(t, gatetest.Options{})
	for _, name := range []string{setup.AuthorizedFile, setup.GrantsFile, setup.RootFile, setup.CertificateFile} {
		path := filepath.Join(g.Folder, name)
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		g.Reload()
		if code, body := admin(t, g, "/readyz"); code != 503 || !strings.Contains(body, name) {
			t.Errorf("without %s: %d %q", name, code, body)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		g.Reload()
		if code, body := admin(t, g, "/readyz"); code != 200 {
			t.Errorf("%s is back: %d %q", name, code, body)
		}
	}
}

func TestRule14_ReadyAsksTheRegistry(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	g := gatetest.Start(t, gatetest.Options{Registry: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })})
	if code, body := admin(t, g, "/readyz"); code != 200 {
		t.Errorf("%d %q", code, body)
	}
	if r := g.Forwarded()[0]; r.RequestURI != "/v2/" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		t.Errorf("the gate asks %s with %v", r.RequestURI, r.Header)
	}
	status.Store(http.StatusUnauthorized)
	if code, body := admin(t, g, "/readyz"); code != 503 || !strings.Contains(body, "rootcertbundle") {
		t.Errorf("a registry that does not trust the gate: %d %q", code, body)
	}
}

func TestSiteHandler(t *testing.T) {
	g := gatetest.Start(t, gatetest.Options{})
	for path, want := range map[string]int{"/": 200, "/x": 404, "/api/tags": 404, "/v1/models": 404, "/metrics": 404, "/readyz": 404, "/token/x": 404} {
		res, err := http.Get(g.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != want {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// certificate writes a self-signed certificate for 127.0.0.1 with a serial number.
func certificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.key": {Type: "PRIVATE KEY", Bytes: secret}, "tls.crt": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLSIsReloaded(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir, 1)
	g := gatetest.Start(t, gatetest.Options{Origin: "https://127.0.0.1", Change: func(text string) string {
		return strings.NewReplacer(`# certificate = "tls.crt"`, `certificate = "`+dir+`/tls.crt"`, `# key = "tls.key"`, `key = "`+dir+`/tls.key"`).Replace(text)
	}})
	serial := func() int64 {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.URL, "http://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("serial number %d", n)
	}
	certificate(t, dir, 2)
	g.Reload()
	if n := serial(); n != 2 {
		t.Errorf("after the renewal: serial number %d", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.Reload()
	if n := serial(); n != 2 {
		t.Errorf("with a damaged file: serial number %d", n)
	}
}

func TestStopFinishesStreams(t *testing.T) {
	next := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 2 {
			fmt.Fprintln(w, "piece")
			http.NewResponseController(w).Flush()
			<-next
		}
	}))
	defer upstream.Close()
	g := gatetest.Start(t, gatetest.Options{Ollama: http.NotFoundHandler(), Grants: "[[grant]]\nnames = [\"*\"]\nendpoints = [\"chat\"]\n", Change: func(text string) string {
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "ollama = ") {
				lines[i] = fmt.Sprintf("ollama = %q", upstream.URL)
			}
		}
		return strings.Join(lines, "\n")
	}})
	key := gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": key})
	own, err := gate.New(g.Config, gate.Options{Keys: backends.New(), Log: slog.New(slog.DiscardHandler), Decisions: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- own.Serve(ctx, l) }()
	req, err := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/api/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = strings.TrimPrefix(g.Origin, "http://")
	if err := challenge.SignRequest(t.Context(), key, req); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	stop()
	for range 2 {
		next <- struct{}{}
	}
	if !lines.Scan() || lines.Text() != "piece" || lines.Scan() || lines.Err() != nil {
		t.Errorf("the stream was cut off: %q, %v", lines.Text(), lines.Err())
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAuditLogIsReopened(t *testing.T) {
	g := gatetest.Start(t, gatetest.Options{Change: func(text string) string {
		return strings.Replace(text, `# audit = "audit.log"`, `audit = "audit.log"`, 1)
	}})
	path := filepath.Join(g.Folder, "audit.log")
	ask := func() {
		res, err := http.Get(g.URL + "/v2/")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	ask()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	again := make(chan os.Signal)
	go g.Watch(ctx, again)
	again <- os.Interrupt
	again <- os.Interrupt // the first is done
	ask()
	for name, want := range map[string]int{path: 1, path + ".1": 1} {
		data, err := os.ReadFile(name)
		if n := strings.Count(string(data), "\n"); err != nil || n != want {
			t.Errorf("%s: %d lines, %v", name, n, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
