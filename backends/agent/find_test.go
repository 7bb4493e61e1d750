package agent_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestNames(t *testing.T) {
	a, pubs := newKeyring(t, "me@laptop", "twice", "twice", "", "with spaces and ünïcode", "\x1b[31mred", "SHA256:no fingerprint", "left\u202eright", strings.Repeat("long", 300))
	b := serve(t, a)
	for name, want := range map[string]ssh.PublicKey{
		"me@laptop":                    pubs[0],
		ssh.FingerprintSHA256(pubs[1]): pubs[1],
		ssh.FingerprintSHA256(pubs[3]): pubs[3],
		"with spaces and ünïcode":      pubs[4],
		ssh.FingerprintSHA256(pubs[5]): pubs[5],
		ssh.FingerprintSHA256(pubs[6]): pubs[6],
	} {
		k, err := b.Open(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !signer.SameKey(k.PublicKey(), want) {
			t.Errorf("%s opened %s", name, ssh.FingerprintSHA256(k.PublicKey()))
		}
	}

	_, err := b.Open(t.Context(), "twice")
	wantError(t, err, nil, false, "agent#which-key", "2 keys with the comment twice", ssh.FingerprintSHA256(pubs[1])+" (twice)", ssh.FingerprintSHA256(pubs[2])+" (twice)")
	hint, _ := signer.HintOf(err)
	name, ok := strings.CutPrefix(hint.Do, "name the key by its fingerprint, such as agent:")
	if _, err := b.Open(t.Context(), name); !ok || err != nil {
		t.Errorf("the hint %q does not work: %v", hint.Do, err)
	}
	_, err = b.Open(t.Context(), "")
	wantError(t, err, nil, false, "agent#which-key", "has 9 keys")
	_, err = b.Open(t.Context(), "nobody")
	wantError(t, err, signer.ErrNotFound, true, "agent#which-key", "has no key nobody; it has SHA256:")
	if printable.Text(err.Error()) != err.Error() && len(err.Error()) < 500 {
		t.Errorf("not printable: %q", err)
	}
	if strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("not printable: %q", err)
	}
	_, err = b.Open(t.Context(), "SHA256:"+strings.Repeat("A", 43))
	wantError(t, err, signer.ErrNotFound, true, "agent#which-key", "has no key SHA256:AAA")
	if err := b.Delete(t.Context(), "twice"); err == nil {
		t.Error("Delete took one of two keys")
	}

	infos, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, i := range infos {
		names[ssh.FingerprintSHA256(i.PublicKey)] = i.Name
	}
	want := map[string]string{}
	for i, pub := range pubs {
		want[ssh.FingerprintSHA256(pub)] = ssh.FingerprintSHA256(pub)
		if i == 0 || i == 4 {
			want[ssh.FingerprintSHA256(pub)] = []string{"me@laptop", "", "", "", "with spaces and ünïcode"}[i]
		}
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

// listed is an agent that lists these keys and does nothing else.
type listed struct {
	sshagent.Agent
	keys []*sshagent.Key
}

func (l listed) List() ([]*sshagent.Key, error) { return l.keys, nil }

// entry returns a key in the list of an agent.
func entry(kind string, comment string, fields any) *sshagent.Key {
	blob := append(ssh.Marshal(struct{ Kind string }{kind}), ssh.Marshal(fields)...)
	return &sshagent.Key{Format: kind, Blob: blob, Comment: comment}
}

// securityKey returns the entry of a FIDO key (OpenSSH's PROTOCOL.u2f).
func securityKey(t *testing.T, comment string) *sshagent.Key {
	pub := signertest.NewKey(t).Public().(ed25519.PublicKey)
	return entry(ssh.KeyAlgoSKED25519, comment, struct {
		Key         []byte
		Application string
	}{pub, "ssh:"})
}

func TestUnusable(t *testing.T) {
	certificates := sshagent.NewKeyring()
	key := signertest.NewKey(t)
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: s.PublicKey(), CertType: ssh.UserCert}
	if err := cert.SignCert(rand.Reader, s); err != nil {
		t.Fatal(err)
	}
	if err := certificates.Add(sshagent.AddedKey{PrivateKey: key, Certificate: cert, Comment: "me"}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		agent sshagent.Agent
		says  string
	}{
		"certificate":  {certificates, "ssh-ed25519-cert-v01@openssh.com"},
		"security key": {listed{keys: []*sshagent.Key{securityKey(t, "me")}}, "sk-ssh-ed25519@openssh.com"},
		"unknown kind": {listed{keys: []*sshagent.Key{entry("ssh-\x1bnew", "me", struct{ K []byte }{[]byte("x")})}}, `ssh-\x1bnew`},
		"damaged":      {listed{keys: []*sshagent.Key{entry(ssh.KeyAlgoED25519, "me", struct{ K []byte }{[]byte("x")})}}, "ssh-ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, tt.agent)
			for _, name := range []string{"", "me"} {
				_, err := b.Open(t.Context(), name)
				wantError(t, err, signer.ErrUnsupported, false, "agent#which-key", tt.says)
			}
			infos, err := b.List(t.Context())
			if err != nil || len(infos) > 0 {
				t.Errorf("List: %v, %v", infos, err)
			}
		})
	}
}

// Keys that cannot be used do not hide the key that can, and an agent may list a key
// twice.
func TestUsableAmongOthers(t *testing.T) {
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	good := &sshagent.Key{Format: pub.Type(), Blob: pub.Marshal(), Comment: "me"}
	b := serve(t, listed{keys: []*sshagent.Key{securityKey(t, "me"), good, good, securityKey(t, "other")}})
	for _, name := range []string{"", "me", ssh.FingerprintSHA256(pub)} {
		k, err := b.Open(t.Context(), name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if !signer.SameKey(k.PublicKey(), pub) {
			t.Errorf("%q opened another key", name)
		}
	}
}

// An error names some of many keys.
func TestManyKeys(t *testing.T) {
	a, _ := newKeyring(t, strings.Split(strings.Repeat("k,", 14), ",")...)
	_, err := serve(t, a).Open(t.Context(), "")
	wantError(t, err, nil, false, "agent#which-key", "has 15 keys", "and 5 more")
}

// added keeps the last key that was added.
type added struct {
	sshagent.Agent
	key sshagent.AddedKey
}

func (a *added) Add(key sshagent.AddedKey) error {
	a.key = key
	return nil
}

func TestImportLimits(t *testing.T) {
	for _, tt := range []struct {
		lifetime time.Duration
		confirm  bool
		seconds  uint32
	}{
		{0, false, 0}, {time.Hour, false, 3600}, {time.Millisecond, true, 1}, {1500 * time.Millisecond, false, 2},
	} {
		a := &added{Agent: sshagent.NewKeyring()}
		b := serve(t, a)
		b.Lifetime, b.Confirm = tt.lifetime, tt.confirm
		if err := b.Import(t.Context(), "me", signertest.NewKey(t)); err != nil {
			t.Fatal(err)
		}
		if a.key.LifetimeSecs != tt.seconds || a.key.ConfirmBeforeUse != tt.confirm || a.key.Comment != "me" {
			t.Errorf("%v, %t: the agent got %d seconds, %t, comment %q", tt.lifetime, tt.confirm, a.key.LifetimeSecs, a.key.ConfirmBeforeUse, a.key.Comment)
		}
	}
	b := serve(t, &added{Agent: sshagent.NewKeyring()})
	for _, lifetime := range []time.Duration{-time.Second, 200 * 365 * 24 * time.Hour} {
		b.Lifetime = lifetime
		if err := b.Import(t.Context(), "me", signertest.NewKey(t)); !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("%v: %v, want ErrUnsupported", lifetime, err)
		}
	}
}

func TestImportNames(t *testing.T) {
	a, _ := newKeyring(t)
	b := serve(t, a)
	key := signertest.NewKey(t)
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := ssh.FingerprintSHA256(pub)
	other := ssh.FingerprintSHA256(newSSHKey(t))
	if err := b.Import(t.Context(), other, key); !errors.Is(err, signer.ErrName) {
		t.Errorf("another key's fingerprint as the name: %v, want ErrName", err)
	}
	if err := b.Import(t.Context(), fingerprint, key); err != nil {
		t.Fatal(err)
	}
	infos, err := b.List(t.Context())
	if err != nil || len(infos) != 1 || infos[0].Name != fingerprint || infos[0].Comment != "" {
		t.Errorf("List: %v, %v", infos, err)
	}
	if err := b.Delete(t.Context(), ""); !errors.Is(err, signer.ErrName) {
		t.Errorf("Delete without a name: %v, want ErrName", err)
	}
	//lint:ignore SA1019 such keys exist, and an agent cannot hold them
	three, err := rsa.GenerateMultiPrimeKey(rand.Reader, 3, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Import(t.Context(), "three", three); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("RSA with three primes: %v, want ErrUnsupported", err)
	}
}

func newSSHKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(signertest.NewKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// A vault is an agent like those of 1Password and Secretive: its keys are made in its
// own window, and a person may refuse a signature.
type vault struct {
	sshagent.ExtendedAgent
	refuse bool
}

var errRefused = errors.New("refused")

func (v *vault) Add(sshagent.AddedKey) error { return errRefused }
func (v *vault) Remove(ssh.PublicKey) error  { return errRefused }

func (v *vault) SignWithFlags(key ssh.PublicKey, data []byte, flags sshagent.SignatureFlags) (*ssh.Signature, error) {
	if v.refuse || key.Type() != ssh.KeyAlgoRSA && flags != 0 {
		return nil, errRefused
	}
	return v.ExtendedAgent.SignWithFlags(key, data, flags)
}

func (v *vault) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return v.SignWithFlags(key, data, 0)
}

func TestConformanceVault(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		keys := sshagent.NewKeyring().(sshagent.ExtendedAgent)
		return signertest.Store{
			Backend: serve(t, &vault{ExtendedAgent: keys}),
			Lacks:   []string{"Importer", "Deleter"},
			Put:     func(t *testing.T, name string, key crypto.Signer) { add(t, keys, key, name) },
		}
	})
}

func TestVault(t *testing.T) {
	keys := sshagent.NewKeyring().(sshagent.ExtendedAgent)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	add(t, keys, key, "Work Mac")
	v := &vault{ExtendedAgent: keys}
	b := serve(t, v)
	wantError(t, b.Import(t.Context(), "new", signertest.NewKey(t)), signer.ErrDenied, false, "agent#refused", "takes no keys from other programs")
	wantError(t, b.Delete(t.Context(), "Work Mac"), signer.ErrDenied, false, "agent#refused", "refused to remove")
	k, err := b.Open(t.Context(), "Work Mac")
	if err != nil {
		t.Fatal(err)
	}
	v.refuse = true
	_, err = k.Sign(t.Context(), []byte("hello"))
	wantError(t, err, signer.ErrDenied, false, "agent#refused", "a person refused")
}

func TestMalformedFingerprint(t *testing.T) {
	_, err := (&agent.Backend{}).Open(t.Context(), "SHA256:abc")
	if !errors.Is(err, signer.ErrName) {
		t.Fatalf("got %v, want ErrName", err)
	}
	want := signer.Hint{Do: "copy it from: ssh-add -l", See: "agent"}
	if hint, _ := signer.HintOf(err); hint != want {
		t.Errorf("hint %+v, want %+v", hint, want)
	}
}
