package conformance

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"os"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// A way makes a stored key unusable. It reports whether it could.
type way struct {
	what string // "a damaged key"
	do   func(t TB, name string, key crypto.Signer) bool
}

// checkDamaged damages keys. A key that is damaged is there: a search must not go
// on to another key, and nothing may replace it.
func checkDamaged(t TB, s *store) {
	ways := []way{
		{"a key whose file was cut", s.rewriting(func(data []byte, _ crypto.Signer) []byte { return data[:len(data)/2] })},
		{"a key whose file is empty", s.rewriting(func([]byte, crypto.Signer) []byte { return nil })},
	}
	if s.Damage != nil {
		ways = []way{{"a damaged key", func(t TB, name string, _ crypto.Signer) bool {
			s.Damage(t, name)
			return true
		}}}
	}
	for _, w := range ways {
		name, key := s.makeUnusable(t, w, "Damage")
		k, err := s.open(t.Context(), name)
		if err == nil { // the backend keeps keys in memory
			s.signs(t, k, publicKey(t, key), []byte("message"))
		}
		mustNotBeAbsent(t, "Open of "+w.what, err)
		if has[signer.Prober](s) {
			_, err := s.probe(t.Context(), name)
			mustNotBeAbsent(t, "Probe of "+w.what, err)
		}
		if has[signer.Exporter](s) {
			got, err := s.export(t.Context(), name)
			if err == nil && !samePrivate(got, key) {
				t.Errorf("Export of %s gave another key", w.what)
			}
			mustNotBeAbsent(t, "Export of "+w.what, err)
		}
		s.mustNotReplace(t, name, w.what)
	}
}

// checkLocked locks a key. Nobody answers a prompt in a test.
func checkLocked(t TB, s *store) {
	w := way{"a key with a passphrase", s.rewriting(encrypted)}
	if s.Lock != nil {
		w = way{"a locked key", func(t TB, name string, _ crypto.Signer) bool {
			s.Lock(t, name)
			return true
		}}
	}
	name, key := s.makeUnusable(t, w, "Lock")
	if has[signer.Prober](s) { // before Open, which may keep the key
		s.checkProbeLocked(t, name, w.what)
	}
	k, err := s.open(t.Context(), name)
	if err != nil {
		mustBeLocked(t, "Open of "+w.what, err)
	} else if sig, err := s.sign(t.Context(), k, []byte("message")); err != nil {
		mustBeLocked(t, "Sign with "+w.what, err)
	} else if err := verify(publicKey(t, key), []byte("message"), sig); err != nil {
		t.Errorf("Sign with %s: %v", w.what, err) // the key in memory may sign, no other key
	}
	s.mustNotReplace(t, name, w.what)
}

// makeUnusable stores a key and makes it unusable. It skips the test if the suite
// knows no way.
func (s *store) makeUnusable(t TB, w way, field string) (name string, key crypto.Signer) {
	t.Helper()
	key = NewKey(t)
	name = s.put(t, key)
	s.unusable = append(s.unusable, name)
	if !w.do(t, name, key) {
		t.Skipf("Store.%s is nil, and no file of the store holds a key in PEM", field)
	}
	return name, key
}

// rewriting returns a way that rewrites the file of a key until the test ends.
func (s *store) rewriting(change func([]byte, crypto.Signer) []byte) func(TB, string, crypto.Signer) bool {
	return func(t TB, _ string, key crypto.Signer) bool {
		t.Helper()
		paths := s.filesWith(secretForms(key))
		if len(paths) != 1 {
			return false
		}
		data, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		changed := change(data, key)
		if bytes.Equal(changed, data) {
			return false
		}
		rewrite(t, paths[0], changed)
		t.Cleanup(func() { rewrite(t, paths[0], data) })
		return true
	}
}

// rewrite changes the content of a file and keeps its permissions. If the store has
// write-protected the file, rewrite puts a new file in its place.
func rewrite(t TB, path string, data []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if os.WriteFile(path, data, info.Mode().Perm()) == nil {
		return
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

// encrypted returns key with a passphrase, if data is PEM.
func encrypted(data []byte, key crypto.Signer) []byte {
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("signertest"))
	if err != nil || !holds(string(data), privateKeyLine) {
		return data
	}
	return pem.EncodeToMemory(block)
}

func mustNotBeAbsent(t TB, op string, err error) {
	t.Helper()
	if signer.IsAbsent(err) {
		t.Errorf("%s: got error %v: a search would go on to another key", op, err)
	}
}

func mustBeLocked(t TB, op string, err error) {
	t.Helper()
	mustNotBeAbsent(t, op, err)
	for _, want := range []error{signer.ErrLocked, signer.ErrDenied, signer.ErrUnsupported} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s: got error %v, want one that wraps %q", op, err, signer.ErrLocked)
}

// mustNotReplace checks that no call makes a new key in the place of a key that
// is there.
func (s *store) mustNotReplace(t TB, name, what string) {
	t.Helper()
	before := s.files()
	for _, c := range s.callsOfNew(name, NewKey(t)) {
		if err := c.run(t.Context()); err == nil {
			t.Errorf("%s replaced %s", c.op, what)
		}
	}
	if now := s.files(); !slices.Equal(now, before) {
		t.Errorf("a refused key changed the files: there were\n%q\nand there are\n%q", before, now)
	}
}
