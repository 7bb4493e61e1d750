package vault_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A clock is moved by a test.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *clock) move(d time.Duration) { c.offset.Add(int64(d)) }

func open(t *testing.T, b *vault.Backend, name string) signer.Signer {
	t.Helper()
	k, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	return k
}

func sign(t *testing.T, k signer.Signer) {
	t.Helper()
	sig, err := k.Sign(t.Context(), []byte("message"))
	if err == nil {
		err = k.PublicKey().Verify([]byte("message"), sig)
	}
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
}

// mustFail checks the kind of an error, and that no search goes on after it.
func mustFail(t *testing.T, err, want error, texts ...string) {
	t.Helper()
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
		return
	}
	if signer.IsAbsent(err) && want != signer.ErrNotFound && want != signer.ErrUnavailable {
		t.Errorf("a search would go on after %v", err)
	}
	h, _ := signer.HintOf(err)
	if strings.Contains(err.Error()+h.Do, "%!") {
		t.Errorf("a text that was formatted badly: %v, %v", err, h.Do)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error()+"\n"+h.Do, text) {
			t.Errorf("error %q with hint %q lacks %q", err, h.Do, text)
		}
	}
}

func TestKinds(t *testing.T) {
	s := startServer(t)
	for kind, algorithms := range map[string][]string{
		"ed25519":    {ssh.KeyAlgoED25519},
		"ecdsa-p256": {ssh.KeyAlgoECDSA256},
		"ecdsa-p384": {ssh.KeyAlgoECDSA384},
		"ecdsa-p521": {ssh.KeyAlgoECDSA521},
		"rsa-2048":   {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
		"rsa-3072":   {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
		"rsa-4096":   {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	} {
		t.Run(kind, func(t *testing.T) {
			s.make(kind, kind)
			k := open(t, s.backend(), kind)
			sign(t, k)
			for _, algorithm := range algorithms {
				sig, err := signer.SignAlgorithm(t.Context(), k, []byte("message"), algorithm)
				if err != nil || sig.Format != algorithm {
					t.Fatalf("%s: %v, %v", algorithm, sig, err)
				}
				if err := k.PublicKey().Verify([]byte("message"), sig); err != nil {
					t.Errorf("%s: %v", algorithm, err)
				}
			}
			_, err := signer.SignAlgorithm(t.Context(), k, []byte("message"), ssh.KeyAlgoRSA)
			mustFail(t, err, signer.ErrUnsupported)
		})
	}
}

func TestKindsThatDoNotSign(t *testing.T) {
	s := startServer(t)
	s.make("symmetric", "aes256-gcm96")
	s.admin("POST", "transit/keys/derived", map[string]any{"type": "ed25519", "derived": true})
	b := s.backend()
	_, err := b.Open(t.Context(), "symmetric")
	mustFail(t, err, signer.ErrUnsupported, `"aes256-gcm96"`)
	_, err = b.Open(t.Context(), "derived")
	mustFail(t, err, signer.ErrUnsupported, "derived")
}

// The version is fixed when the key is opened. A Signer notices a newer version.
func TestRotation(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	b, c := s.backend(), new(clock)
	vault.SetClock(b, c.now)
	old := open(t, b, "key")
	s.admin("POST", "transit/keys/key/rotate", nil)
	sign(t, old)
	if signer.IsStale(old) {
		t.Error("stale before the Signer looked")
	}
	s.forget()
	sign(t, old)
	if n := s.count("GET transit/keys/key"); n != 0 {
		t.Errorf("a signature made %d requests for newer versions", n)
	}
	c.move(time.Minute)
	sign(t, old) // with the version that it opened
	if !signer.IsStale(old) {
		t.Error("not stale a minute after a rotation")
	}
	next := open(t, b, "key")
	if signer.SameKey(next.PublicKey(), old.PublicKey()) {
		t.Error("Open gave the old version")
	}
	sign(t, next)
	if signer.IsStale(next) {
		t.Error("the newest version is stale")
	}
}

// A Keeper opens the new version.
func TestRotationThroughKeeper(t *testing.T) {
	s := startServer(t)
	s.make("key", "ecdsa-p256")
	b, c := s.backend(), new(clock)
	vault.SetClock(b, c.now)
	keeper := &signer.Keeper{Backend: b}
	opened := func() signer.Signer {
		k, err := keeper.Open(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		sign(t, k)
		return k
	}
	first := opened()
	s.admin("POST", "transit/keys/key/rotate", nil)
	c.move(time.Minute)
	opened()
	if signer.SameKey(opened().PublicKey(), first.PublicKey()) {
		t.Error("the Keeper kept the old version")
	}
}

// The server refuses a version that is too old with status 500 and a text.
func TestVersionThatIsTooOld(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	k := open(t, s.backend(), "key")
	s.admin("POST", "transit/keys/key/rotate", nil)
	s.admin("POST", "transit/keys/key/config", map[string]any{"min_encryption_version": 2})
	_, err := k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, nil, "answered 500", "minimum encryption key version", "its newest version is 2 and this is version 1")
	if !signer.IsStale(k) {
		t.Error("the Signer is not stale")
	}
}

func TestDeletedKey(t *testing.T) {
	s := startServer(t)
	s.put(t, "key", signertest.NewKey(t))
	k := open(t, s.backend(), "key")
	s.admin("DELETE", "transit/keys/key", nil)
	_, err := k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, signer.ErrNotFound, `no key "key"`)
	if !signer.IsStale(k) {
		t.Error("the Signer is not stale")
	}
}

// A new key of the same name has the same version number.
func TestReplacedKey(t *testing.T) {
	s := startServer(t)
	s.put(t, "key", signertest.NewKey(t))
	k := open(t, s.backend(), "key")
	s.admin("DELETE", "transit/keys/key", nil)
	s.make("key", "ed25519")
	_, err := k.Sign(t.Context(), []byte("message"))
	mustFail(t, err, nil, "did not make", "rotated or replaced")
	if !signer.IsStale(k) {
		t.Error("the Signer is not stale")
	}
}

// The operator decides whether a key may be deleted.
func TestDeleteThatIsNotAllowed(t *testing.T) {
	s := startServer(t)
	b := s.backend()
	if _, err := b.Generate(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	mustFail(t, b.Delete(t.Context(), "key"), signer.ErrDenied, "vault write transit/keys/key/config deletion_allowed=true")
	s.allowDelete("key")
	if err := b.Delete(t.Context(), "key"); err != nil {
		t.Error(err)
	}
}

// Two processes look at the same time, and both find no key. The server's answer to
// the slower one is a success with a warning.
func TestGenerateInTwoProcesses(t *testing.T) {
	s := startServer(t)
	if s.fake == nil {
		t.Skip("SKIPPED: Vault 1.14.0 does not warn")
	}
	s.fake.WarnsOfExisting = true
	overtaken := false
	b := s.backend()
	b.Address = proxyTo(t, s, func(req *http.Request) {
		if req.Method == http.MethodPost && !overtaken {
			overtaken = true
			s.make("key", "ed25519")
		}
	})
	_, err := b.Generate(t.Context(), "key")
	mustFail(t, err, signer.ErrExists)
}

func TestList(t *testing.T) {
	s := startServer(t)
	b := s.backend()
	if infos, err := b.List(t.Context()); err != nil || len(infos) != 0 {
		t.Errorf("an empty engine: %v, %v", infos, err)
	}
	s.make("b", "ed25519")
	s.make("a", "aes256-gcm96")
	infos, err := b.List(t.Context())
	if err != nil || len(infos) != 2 || infos[0].Name != "a" || infos[1].Name != "b" {
		t.Errorf("got %v, %v", infos, err)
	}
}
