package vault_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/internal/leftovers"
	"github.com/countersign/countersign/internal/vaulttest"
	"github.com/countersign/countersign/signer"
)

const secretToken = "hvs.CAESIJ-secret-token-of-the-test"

// answering starts a server that answers each request with handle, and returns a
// Backend for it.
func answering(t *testing.T, handle http.HandlerFunc) *vault.Backend {
	t.Helper()
	h := httptest.NewServer(handle)
	t.Cleanup(h.Close)
	b := &vault.Backend{Address: h.URL, Token: func() string { return secretToken }}
	t.Cleanup(b.CloseIdleConnections)
	return b
}

func TestNoServerIsConfigured(t *testing.T) {
	for _, name := range []string{"BAO_ADDR", "VAULT_ADDR"} {
		t.Setenv(name, "")
	}
	_, err := new(vault.Backend).Open(t.Context(), "key")
	mustFail(t, err, signer.ErrUnavailable, "VAULT_ADDR")
}

// A server that does not answer with authority may have the key: no search goes on.
func TestServersThatMayHaveTheKey(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tt := range map[string]struct {
		b     *vault.Backend
		texts []string
	}{
		"no server":             {&vault.Backend{Address: closed.URL, Token: func() string { return "x" }}, []string{"no answer", "connection refused", "VAULT_ADDR"}},
		"another server":        {answering(t, reply(404, "<html>not found</html>")), []string{"answered 404", "mount"}},
		"another API":           {answering(t, reply(404, `{"message":"not found"}`)), []string{"answered 404"}},
		"no engine":             {answering(t, reply(404, `{"errors":["no handler for route \"transit/keys/key\". route entry not found."]}`)), []string{"no handler", "mount"}},
		"not JSON":              {answering(t, reply(200, "hello")), []string{"not in the form"}},
		"no data":               {answering(t, reply(200, `{}`)), []string{"not in the form"}},
		"a busy server":         {answering(t, reply(503, "busy")), []string{"answered 503"}},
		"a proxy":               {answering(t, reply(502, "bad gateway")), []string{"answered 502"}},
		"too many requests":     {answering(t, reply(429, `{"errors":["rate limit"]}`)), []string{"answered 429", "rate limit"}},
		"a reply without end":   {answering(t, reply(200, strings.Repeat(" ", 5<<20))), []string{"more than 4194304 bytes"}},
		"a wrong public key":    {answering(t, reply(200, `{"data":{"type":"ed25519","supports_signing":true,"latest_version":1,"keys":{"1":{"public_key":"AAAA"}}}}`)), []string{"32 bytes"}},
		"a public key and more": {answering(t, reply(200, `{"data":{"type":"ed25519","supports_signing":true,"latest_version":1,"keys":{"1":{"public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=!!!!"}}}}`)), []string{"32 bytes"}},
		"a reply that is cut": {answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		}), []string{"no answer"}},
		"no public key": {answering(t, reply(200, `{"data":{"type":"ml-dsa","supports_signing":true,"latest_version":1,"keys":{"1":{}}}}`)), []string{`"ml-dsa"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.b.Open(t.Context(), "key")
			mustFail(t, err, nil, tt.texts...)
		})
	}
}

func TestSealedServer(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	b := s.backend()
	k := open(t, b, "key")
	s.admin("POST", "sys/seal", map[string]any{})
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrLocked, "sealed", "unseal")
	_, err = k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, signer.ErrLocked)
}

// A redirect would take the token to another server.
func TestRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("the other server got %s %s with the token %q", req.Method, req.URL, req.Header.Get("X-Vault-Token"))
	}))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 307, 308} {
		b := answering(t, func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, other.URL+req.URL.Path, status) })
		_, err := b.Open(t.Context(), "key")
		mustFail(t, err, nil, "redirect to "+other.URL, "not sent to another address")
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]error{
		"http://vault.example.com:8200":       signer.ErrInsecure,
		"http://localhost.example.com":        signer.ErrInsecure,
		"http://10.0.0.7:8200":                signer.ErrInsecure,
		"vault.example.com:8200":              nil,
		"unix:///run/vault.sock":              nil,
		"https://":                            nil,
		"https://user:password@vault.example": nil,
		"https://vault.example?x=password":    nil,
	} {
		b := &vault.Backend{Address: address, Token: func() string { return "x" }}
		_, err := b.Open(t.Context(), "key")
		mustFail(t, err, want, "https")
		if want == nil && !strings.Contains(err.Error(), "is not a URL") {
			t.Errorf("%s: got %v", address, err)
		}
		if strings.Contains(err.Error(), "password") {
			t.Errorf("a password is in the error: %v", err)
		}
	}
}

// The path of an address is a prefix, as behind a reverse proxy.
func TestAddressWithPath(t *testing.T) {
	fake := vaulttest.New(nil)
	h := httptest.NewServer(http.StripPrefix("/secrets", fake))
	t.Cleanup(h.Close)
	b := &vault.Backend{Address: h.URL + "/secrets/", Token: func() string { return fake.Root }}
	t.Cleanup(b.CloseIdleConnections)
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, nil, "no handler for route")
}

func TestCAFile(t *testing.T) {
	fake := vaulttest.New(nil)
	h := httptest.NewUnstartedServer(fake)
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(h.Close)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}))
	opens := func(caFile string) error {
		b := &vault.Backend{Address: h.URL, CAFile: caFile, Token: func() string { return fake.Root }}
		t.Cleanup(b.CloseIdleConnections)
		_, err := b.List(t.Context())
		return err
	}
	mustFail(t, opens(certificate), nil, "no handler for route") // the connection is good
	mustFail(t, opens(""), nil, "ca_file")
	mustFail(t, opens(filepath.Join(dir, "absent")), nil, "CA file", "no such file")
	mustFail(t, opens(write("text", []byte("hello"))), nil, "no certificate in PEM")
	mustFail(t, opens(dir), nil, "no regular file")
	t.Setenv("VAULT_CACERT", certificate)
	mustFail(t, opens(""), nil, "no handler for route")

	b := &vault.Backend{Address: "http" + strings.TrimPrefix(h.URL, "https"), Token: func() string { return "x" }}
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, nil, "400")
	b = answering(t, func(http.ResponseWriter, *http.Request) {})
	b.Address = "https" + strings.TrimPrefix(b.Address, "http")
	_, err = b.Open(t.Context(), "key")
	mustFail(t, err, nil, "plain http")
}

// The text of a server may hold control characters, and the token that it got.
func TestHostileText(t *testing.T) {
	b := answering(t, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{"\x1b[31mred\u202e " + req.Header.Get("X-Vault-Token") + strings.Repeat(" long", 1000)}})
	})
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, nil, "answered 500", `\x1b[31mred\u202e`, "[removed]")
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	if strings.Contains(text, secretToken) || strings.ContainsAny(text, "\x1b\u202e") || len(err.Error()) > 1000 {
		t.Errorf("got %q", text)
	}
}

// TestTokenInMalformedReply has a reply that net/http quotes in its error.
func TestTokenInMalformedReply(t *testing.T) {
	b := answering(t, func(w http.ResponseWriter, req *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 %s no\r\n\r\n", req.Header.Get("X-Vault-Token"))
	})
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, nil, "no answer from", "[removed]")
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secretToken) {
		t.Errorf("got %q", text)
	}
}

// A server must not decide what is signed, nor by which key.
func TestWrongSignatures(t *testing.T) {
	s := startServer(t)
	if s.fake == nil {
		t.Skip("SKIPPED: the real server signs well")
	}
	s.make("key", "ed25519")
	s.make("curve", "ecdsa-p256")
	for _, signature := range []string{
		"", "vault:v1:", "vault:v1:!", "vault:v2:AAAA", "AAAA", "vault:v1:" + strings.Repeat("A", 86) + "==", "vault:v1:MAYCAQECAQE=",
	} {
		b := answering(t, func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"signature": signature}})
				return
			}
			req.Header.Set("X-Vault-Token", s.root)
			s.fake.ServeHTTP(w, req)
		})
		for _, name := range []string{"key", "curve"} {
			sig, err := open(t, b, name).Sign(t.Context(), []byte("message"))
			if sig != nil {
				t.Errorf("%s: %q: got a signature", name, signature)
			}
			mustFail(t, err, nil)
		}
	}
}

// A silent server delays no caller, and a call that has ended leaves nothing.
func TestSilentServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	closed := make(chan error, 1)
	accept := func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 1<<16)
		for err == nil {
			_, err = c.Read(buf)
		}
		c.Close()
		closed <- err // the client closed the connection
	}
	b := &vault.Backend{Address: "http://" + ln.Addr().String(), Token: func() string { return "x" }}
	calls := map[string]func(context.Context) error{
		"Open":     func(ctx context.Context) error { _, err := b.Open(ctx, "key"); return err },
		"List":     func(ctx context.Context) error { _, err := b.List(ctx); return err },
		"Generate": func(ctx context.Context) error { _, err := b.Generate(ctx, "key"); return err },
		"Delete":   func(ctx context.Context) error { return b.Delete(ctx, "key") },
	}
	before := leftovers.Now()
	for name, call := range calls {
		go accept()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := call(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
		<-closed
	}
	before.Check(t) // goroutines of net/http end soon after their connection
}

// CloseIdleConnections closes the connection that a call left open.
func TestCloseIdleConnections(t *testing.T) {
	closed := make(chan struct{}, 1)
	h := httptest.NewUnstartedServer(vaulttest.New(nil))
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	h.Start()
	t.Cleanup(h.Close)
	b := &vault.Backend{Address: h.URL, Token: func() string { return "x" }}
	b.CloseIdleConnections() // before the first call
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied)
	b.CloseIdleConnections()
	<-closed
}

// A login must answer with a token.
func TestLoginWithoutToken(t *testing.T) {
	b := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"auth":{}}`)) })
	b.AppRole = &vault.AppRole{RoleID: "role"}
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, nil, "without a token")
}

// A look for a newer version that fails does not harm the signature.
func TestLookThatFails(t *testing.T) {
	fake := vaulttest.New(nil)
	var fails atomic.Bool
	fake.AddEngine("transit")
	b := answering(t, func(w http.ResponseWriter, req *http.Request) {
		if fails.Load() && req.Method == http.MethodGet {
			http.Error(w, `{"errors":["broken"]}`, http.StatusInternalServerError)
			return
		}
		fake.ServeHTTP(w, req)
	})
	b.Token = func() string { return fake.Root }
	c := new(clock)
	vault.SetClock(b, c.now)
	k, err := b.Generate(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	c.move(time.Hour)
	sign(t, k)
	if signer.IsStale(k) {
		t.Error("stale, although nothing is known about a newer version")
	}
}
