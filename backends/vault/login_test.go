package vault_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/internal/vaulttest"
	"github.com/countersign/countersign/signer"
)

// canSign makes the policy that docs/vault.md shows and returns its name.
func (s *server) canSign() string {
	s.policy("signs", map[string][]string{"transit/keys/key": {"read"}, "transit/sign/key": {"update"}})
	return "signs"
}

func TestTokenFile(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	policy := s.canSign()
	first := s.newToken(policy, nil)
	path := writeSecret(t, first)
	b := &vault.Backend{Address: s.URL, TokenFile: path}
	t.Cleanup(b.CloseIdleConnections)
	k := open(t, b, "key")
	sign(t, k)

	// Another program replaces the token, and the old one ends.
	rewriteSecret(t, path, s.newToken(policy, nil))
	s.admin("POST", "auth/token/revoke", map[string]any{"token": first})
	sign(t, k)

	if runtime.GOOS != "windows" {
		rewriteSecret(t, path, s.root)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := b.Open(t.Context(), "key")
		mustFail(t, err, signer.ErrInsecure, "token file "+path, "chmod 600")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied, "no such file", path)
	rewriteSecret(t, path, "")
	_, err = b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied, "empty")
	rewriteSecret(t, path, "two words")
	_, err = b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied, "characters")
}

// Without a login in the fields, a token is found where vault and bao find it.
func TestTokenOfTheUser(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	opens := func(b *vault.Backend) error {
		defer b.CloseIdleConnections()
		_, err := b.Open(t.Context(), "key")
		return err
	}
	t.Setenv("VAULT_ADDR", s.URL)
	mustFail(t, opens(&vault.Backend{}), signer.ErrDenied, "no token", "vault login")
	rewriteSecret(t, filepath.Join(os.Getenv("HOME"), ".vault-token"), s.root)
	if err := opens(&vault.Backend{}); err != nil {
		t.Errorf("~/.vault-token: %v", err)
	}
	t.Setenv("VAULT_TOKEN", "hvs.wrong")
	mustFail(t, opens(&vault.Backend{}), signer.ErrDenied, "answered 403")
	t.Setenv("BAO_TOKEN", s.root)
	if err := opens(&vault.Backend{}); err != nil {
		t.Errorf("BAO_TOKEN: %v", err)
	}
	mustFail(t, opens(&vault.Backend{Token: func() string { return "hvs.wrong" }}), signer.ErrDenied)
	t.Setenv("BAO_ADDR", "http://127.0.0.1:1")
	mustFail(t, opens(&vault.Backend{}), nil, "127.0.0.1:1")
}

func TestAppRole(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	role := s.appRole(t, s.canSign(), nil)
	b := &vault.Backend{Address: s.URL, AppRole: role}
	t.Cleanup(b.CloseIdleConnections)
	k := open(t, b, "key")
	sign(t, k)
	sign(t, k)
	if n := s.count("POST auth/approle/login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}

	// The token ends before its time. All callers share one more login.
	s.admin("POST", "sys/leases/revoke-prefix/auth/approle/login", map[string]any{})
	s.forget()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := k.Sign(t.Context(), []byte("message")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.count("POST auth/approle/login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}

	secret := "00000000-1111-2222-3333-444444444444"
	rewriteSecret(t, role.SecretIDFile, secret)
	s.admin("POST", "sys/leases/revoke-prefix/auth/approle/login", map[string]any{})
	_, err := k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, signer.ErrDenied, "logging in", "check role_id", "vault write -f auth/approle/role/ROLE/secret-id")
	if strings.Contains(fmt.Sprintf("%+v", err), secret) {
		t.Errorf("the secret id is in the error: %v", err)
	}
}

// A policy refuses. The backend logs in once more, and then says so.
func TestDeniedByPolicy(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	s.policy("reads", map[string][]string{"transit/keys/*": {"read"}})
	b := &vault.Backend{Address: s.URL, AppRole: s.appRole(t, "reads", nil)}
	t.Cleanup(b.CloseIdleConnections)
	k := open(t, b, "key")
	s.forget()
	_, err := k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, signer.ErrDenied, "answered 403", "permission denied", "policies")
	want := []string{"POST auth/approle/login", "POST transit/sign/key"}
	if diff := cmp.Diff(want, s.seen()); diff != "" {
		t.Error(diff)
	}
	if signs, logins := s.count(want[1]), s.count(want[0]); signs != 2 || logins != 1 {
		t.Errorf("%d requests to sign and %d logins, want 2 and 1", signs, logins)
	}
	_, err = b.List(t.Context())
	mustFail(t, err, signer.ErrDenied)
	_, err = b.Generate(t.Context(), "new")
	mustFail(t, err, signer.ErrDenied)
}

// A token that cannot be replaced is not sent twice.
func TestDeniedToken(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	b := &vault.Backend{Address: s.URL, Token: func() string { return "hvs.unknown" }}
	t.Cleanup(b.CloseIdleConnections)
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied)
	if n := s.count("GET transit/keys/key"); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// A token is renewed in the last third of its life, until its longest life is over.
// Then the backend logs in again.
func TestRenewal(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	b := &vault.Backend{Address: s.URL, AppRole: s.appRole(t, s.canSign(), map[string]any{"token_ttl": "1h", "token_max_ttl": "1h"})}
	t.Cleanup(b.CloseIdleConnections)
	c := new(clock)
	vault.SetClock(b, c.now)
	k := open(t, b, "key")
	for _, step := range []struct {
		after            time.Duration
		logins, renewals int
	}{
		{0, 1, 0},
		{30 * time.Minute, 1, 0},
		{15 * time.Minute, 1, 1},
		{time.Minute, 1, 1},
		{2 * time.Hour, 2, 1}, // expired: renewing has no use
		{time.Minute, 2, 1},
	} {
		c.move(step.after)
		sign(t, k)
		logins, renewals := s.count("POST auth/approle/login"), s.count("POST auth/token/renew-self")
		if logins != step.logins || renewals != step.renewals {
			t.Errorf("%v later: %d logins and %d renewals, want %d and %d", step.after, logins, renewals, step.logins, step.renewals)
		}
	}
}

// The server does not renew a token beyond its longest life. Its end is near, so it is
// not asked again for each signature.
func TestRenewalAtTheLongestLife(t *testing.T) {
	c := new(clock)
	fake := vaulttest.New(c.now) // the real server has a clock of its own
	fake.AddEngine("transit")
	h := httptest.NewServer(fake)
	t.Cleanup(h.Close)
	s := &server{t: t, direct: h.URL, root: fake.Root, fake: fake}
	renewals := 0
	b := &vault.Backend{
		Address: proxyTo(t, s, func(req *http.Request) {
			if req.URL.Path == "/v1/auth/token/renew-self" {
				renewals++
			}
		}),
		TokenFile: writeSecret(t, s.newToken(s.canSign(), map[string]any{"ttl": "1h", "explicit_max_ttl": "1h"})),
	}
	t.Cleanup(b.CloseIdleConnections)
	vault.SetClock(b, c.now)
	s.make("key", "ed25519")
	k := open(t, b, "key")
	c.move(41 * time.Minute)
	for range 3 {
		sign(t, k)
	}
	if renewals != 1 {
		t.Errorf("%d renewals, want 1", renewals)
	}
	c.move(14 * time.Minute) // in the last third of the life that is left
	sign(t, k)
	if renewals != 1 {
		t.Errorf("%d renewals near the end of the longest life, want 1", renewals)
	}
	c.move(6 * time.Minute)
	_, err := k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, signer.ErrDenied, "permission denied")
}

func TestOneLoginOnly(t *testing.T) {
	b := &vault.Backend{Address: "https://vault.example.com", TokenFile: "/token", AppRole: &vault.AppRole{RoleID: "x"}}
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, nil, "one way only")
}

func TestNamespace(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	b := s.backend()
	b.Namespace = "team-a"
	_, _ = b.Open(t.Context(), "key") // a server without namespaces may refuse
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, h := range s.headers {
		if h.Get("X-Vault-Namespace") != "team-a" || h.Get("X-Vault-Request") != "true" {
			t.Errorf("%s has the fields %v", s.requests[i], h)
		}
	}
	if len(s.headers) == 0 {
		t.Error("no request was made")
	}
}
