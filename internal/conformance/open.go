package conformance

import (
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func checkOpen(t TB, s *store) {
	firstName, first := s.stored(t)
	secondName, second := s.stored(t)
	s.holds(t, firstName, first)
	s.holds(t, firstName, first)
	s.holds(t, secondName, second)

	k, err := s.openRef(t.Context(), firstName)
	if err != nil {
		t.Fatalf("Open(%q) through a Mux: %v", firstName, err)
	}
	s.signs(t, k, first, []byte("message"))
}

// holds checks that name opens as the key of pub, and that it works.
func (s *store) holds(t TB, name string, pub ssh.PublicKey) {
	t.Helper()
	k, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	s.signs(t, k, pub, []byte("message"))
}

func checkAbsent(t TB, s *store) {
	s.stored(t) // an empty store may be a special case
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
func mustBe(t TB, op string, err, want error) {
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
