package conformance

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func checkExport(t TB, s *store) {
	as[signer.Exporter](t, s)
	key := NewKey(t)
	name := s.put(t, key)
	before := s.snapshot(t)
	got, err := s.export(t.Context(), name)
	if err != nil {
		t.Fatalf("Export(%q): %v", name, err)
	}
	if !samePrivate(got, key) {
		t.Error("Export gave another key than was stored")
	}
	s.unchanged(t, before, "Export")
	s.holds(t, name, publicKey(t, key))
}

func checkList(t TB, s *store) {
	as[signer.Lister](t, s)
	if _, err := s.list(t.Context()); err != nil {
		t.Fatalf("List of what was there before: %v", err)
	}
	want := map[string]ssh.PublicKey{}
	for range 3 {
		name, pub := s.stored(t)
		want[name] = pub
	}
	infos, err := s.list(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	byName := func(a, b signer.Info) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(infos, byName) {
		t.Errorf("List is not sorted by name: %q", infos)
	}
	for _, info := range infos {
		pub, ours := want[info.Name]
		if ours && info.PublicKey != nil && !signer.SameKey(info.PublicKey, pub) {
			t.Errorf("List has %q with key %s, want %s", info.Name, fingerprint(info.PublicKey), fingerprint(pub))
		}
		delete(want, info.Name)
	}
	for name := range want {
		t.Errorf("List lacks %q", name)
	}
}

func checkDelete(t TB, s *store) {
	as[signer.Deleter](t, s)
	name, _ := s.stored(t)
	otherName, other := s.stored(t)
	if err := s.delete(t.Context(), name); err != nil {
		t.Fatalf("Delete(%q): %v", name, err)
	}
	for _, c := range s.callsOfExisting(name) {
		mustBe(t, c.op+" after Delete", c.run(t.Context()), signer.ErrNotFound)
	}
	s.holds(t, otherName, other)
}

// checkReplace deletes a key and makes another key of the same name, in each way
// that the backend has.
func checkReplace(t TB, s *store) {
	as[signer.Deleter](t, s)
	if has[signer.Importer](s) {
		s.checkReplaced(t, "Import", func(name string) (ssh.PublicKey, error) {
			key := NewKey(t)
			s.guard(key)
			return publicKey(t, key), s.importKey(t.Context(), name, key)
		})
	}
	if has[signer.Generator](s) {
		s.checkReplaced(t, "Generate", func(name string) (ssh.PublicKey, error) {
			k, err := s.generate(t.Context(), name)
			if err != nil {
				return nil, err
			}
			return k.PublicKey(), nil
		})
	}
}

// checkReplaced checks that the name opens as the new key. The old Signer may
// keep its key or lose it, but it must never sign with the new key.
func (s *store) checkReplaced(t TB, op string, create func(name string) (ssh.PublicKey, error)) {
	t.Helper()
	name, first := s.stored(t)
	old, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	if err := s.delete(t.Context(), name); err != nil {
		t.Fatalf("Delete(%q): %v", name, err)
	}
	second, err := create(name)
	if err != nil {
		t.Fatalf("%s(%q) after Delete: %v", op, name, err)
	}
	s.holds(t, name, second)

	if !signer.SameKey(old.PublicKey(), first) {
		t.Errorf("the old Signer's PublicKey is %s, was %s", fingerprint(old.PublicKey()), fingerprint(first))
	}
	sig, err := s.sign(t.Context(), old, []byte("message"))
	if err != nil {
		return
	}
	if err := verify(first, []byte("message"), sig); err != nil {
		t.Errorf("the old Signer signs with another key: %v", err)
	}
}
