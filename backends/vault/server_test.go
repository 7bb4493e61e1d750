package vault_test

import (
	"bufio"
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/internal/vaulttest"
)

// realServer is the variable with the path of the program that scripts/vault builds.
// Without it the tests run on the fake.
const realServer = "COUNTERSIGN_TEST_VAULT"

// A server is a Vault with a transit engine, real or fake, behind a proxy that
// records all requests.
type server struct {
	t      *testing.T
	URL    string // of the proxy
	direct string
	root   string
	fake   *vaulttest.Server // nil if the server is real

	mu       sync.Mutex
	requests []string // "POST transit/sign/key"
	headers  []http.Header
}

func startServer(t *testing.T) *server {
	t.Helper()
	for _, name := range []string{"ADDR", "TOKEN", "NAMESPACE", "CACERT"} {
		t.Setenv("VAULT_"+name, "")
		t.Setenv("BAO_"+name, "")
	}
	t.Setenv("HOME", t.TempDir())
	s := &server{t: t}
	if program := os.Getenv(realServer); program != "" {
		s.direct, s.root = startReal(t, program)
	} else {
		s.fake = vaulttest.New(nil)
		h := httptest.NewServer(s.fake)
		t.Cleanup(h.Close)
		s.direct, s.root = h.URL, s.fake.Root
	}
	s.URL = proxyTo(t, s, func(req *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, req.Method+" "+strings.TrimPrefix(req.URL.Path, "/v1/"))
		s.headers = append(s.headers, req.Header.Clone())
	})
	s.admin("POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	return s
}

// proxyTo returns the URL of a proxy that calls see before each request to s.
func proxyTo(t *testing.T, s *server, see func(*http.Request)) string {
	t.Helper()
	target, err := url.Parse(s.direct)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		see(req)
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// startReal starts the real server, which ends when its input is closed.
func startReal(t *testing.T, program string) (address, root string) {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the real server: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address, root, _ = strings.Cut(strings.TrimSpace(line), " ")
	return address, root
}

// admin sends a request of an operator and returns the reply's data.
func (s *server) admin(method, path string, body map[string]any) map[string]any {
	s.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.direct+"/v1/"+path, bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.root)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply struct {
		Data, Auth map[string]any
		Errors     []string
	}
	_ = json.NewDecoder(resp.Body).Decode(&reply) // some replies have no body
	if resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s %q", method, path, resp.Status, reply.Errors)
	}
	if reply.Auth != nil {
		return reply.Auth
	}
	return reply.Data
}

// backend returns a Backend with the root token.
func (s *server) backend() *vault.Backend {
	b := &vault.Backend{Address: s.URL, Token: func() string { return s.root }}
	s.t.Cleanup(b.CloseIdleConnections)
	return b
}

// put stores private under name and allows to delete the key.
func (s *server) put(t *testing.T, name string, private crypto.Signer) {
	t.Helper()
	if s.fake != nil {
		s.fake.Put("transit", name, private)
		return
	}
	s.importKey(t, name, private)
	s.allowDelete(name)
}

func (s *server) make(name, kind string) {
	s.admin("POST", "transit/keys/"+name, map[string]any{"type": kind})
}

func (s *server) allowDelete(name string) {
	s.admin("POST", "transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
}

// policy makes a policy that allows the capabilities at each path.
func (s *server) policy(name string, rules map[string][]string) {
	paths := map[string]any{}
	for path, capabilities := range rules {
		paths[path] = map[string]any{"capabilities": capabilities}
	}
	text, err := json.Marshal(map[string]any{"path": paths})
	if err != nil {
		s.t.Fatal(err)
	}
	s.admin("POST", "sys/policies/acl/"+name, map[string]any{"policy": string(text)})
}

// newToken makes a token with a policy.
func (s *server) newToken(policy string, more map[string]any) string {
	body := map[string]any{"policies": []string{policy}}
	for name, value := range more {
		body[name] = value
	}
	return s.admin("POST", "auth/token/create", body)["client_token"].(string)
}

// count returns how often a request was made.
func (s *server) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if r == request {
			n++
		}
	}
	return n
}

// forget empties the record.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.headers = nil, nil
}

// seen returns the record, sorted and without repetitions.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(s.requests)))
}

func writeSecret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	rewriteSecret(t, path, text)
	return path
}

// rewriteSecret puts a new file in the place of path, as the programs that keep
// tokens in files do.
func rewriteSecret(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// appRole makes a login with a policy and returns it with a secret id.
func (s *server) appRole(t *testing.T, policy string, settings map[string]any) *vault.AppRole {
	t.Helper()
	s.admin("POST", "sys/auth/approle", map[string]any{"type": "approle"})
	body := map[string]any{"token_policies": policy}
	for name, value := range settings {
		body[name] = value
	}
	s.admin("POST", "auth/approle/role/app", body)
	id := s.admin("GET", "auth/approle/role/app/role-id", nil)["role_id"]
	secret := s.admin("POST", "auth/approle/role/app/secret-id", nil)["secret_id"]
	return &vault.AppRole{RoleID: fmt.Sprint(id), SecretIDFile: writeSecret(t, fmt.Sprint(secret))}
}
