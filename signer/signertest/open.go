package signertest

import (
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func checkOpen(t *testing.T, s *store) {
	first, second := NewKey(t), NewKey(t)
	firstName, secondName := s.put(t, first), s.put(t, second)
	s.holds(t, firstName, publicKey(t, first))
	s.holds(t, firstName, publicKey(t, first))
	s.holds(t, secondName, publicKey(t, second))

	k, err := s.openRef(t.Context(), firstName)
	if err != nil {
		t.Fatalf("Open(%q) through a Mux: %v", firstName, err)
	}
	s.signs(t, k, publicKey(t, first), []byte("message"))
}

// holds checks that name opens as the key of pub, and that it works.
func (s *store) holds(t *testing.T, name string, pub ssh.PublicKey) {
	t.Helper()
	k, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	s.signs(t, k, pub, []byte("message"))
}

func checkAbsent(t *testing.T, s *store) {
	s.put(t, NewKey(t)) // an empty store may be a special case
	name := s.name(t)
	before := s.snapshot(t)
	for range 2 { // the first time must not create it
		for _, c := range s.callsOfExisting(name) {
			mustBe(t, c.op, c.run(t.Context()), signer.ErrNotFound)
		}
		_, err := s.openRef(t.Context(), name)
		mustBe(t, "Open through a Mux", err, signer.ErrNotFound)
	}
	s.unchanged(t, before, "looking for an absent key")
}

// mustBe checks that err wraps want and no other of the contract's errors: a
// caller decides by them whether to look elsewhere.
func mustBe(t *testing.T, op string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want one that wraps %q", op, err, want)
		return
	}
	for _, other := range []error{
		signer.ErrNotFound, signer.ErrExists, signer.ErrUnavailable, signer.ErrLocked,
		signer.ErrDenied, signer.ErrInsecure, signer.ErrUnsupported, signer.ErrName,
	} {
		if other != want && errors.Is(err, other) {
			t.Errorf("%s: error %v wraps %q besides %q", op, err, other, want)
		}
	}
}
