package conformance

import (
	"errors"

	"github.com/countersign/countersign/signer"
)

// checkProbe looks at the state of keys that open. The version of a key stays while the key
// does, and a new key of the same name has another version.
func checkProbe(t TB, s *store) {
	as[signer.Prober](t, s)
	name, pub := s.stored(t)
	before := s.snapshot(t)
	first := s.mustProbe(t, name)
	if again := s.mustProbe(t, name); again != first {
		t.Errorf("Probe tells the version %q and then %q of one key", first, again)
	}
	s.unchanged(t, before, "Probe")
	s.holds(t, name, pub)
	if opened := s.mustProbe(t, name); opened != first {
		t.Errorf("Probe tells the version %q, and %q after Open", first, opened)
	}
	if !s.canDelete() {
		return
	}
	if err := s.delete(t.Context(), name); err != nil {
		t.Fatalf("Delete(%q): %v", name, err)
	}
	_, err := s.probe(t.Context(), name)
	mustBe(t, "Probe after Delete", err, signer.ErrNotFound)
	calls := s.callsOfNew(name, NewKey(t))
	if len(calls) == 0 {
		return
	}
	if err := calls[0].run(t.Context()); err != nil {
		t.Fatalf("%s(%q) after Delete: %v", calls[0].op, name, err)
	}
	if next := s.mustProbe(t, name); next == first && first != "" {
		t.Errorf("Probe tells the version %q of a key and of the key that took its place", first)
	}
}

// mustProbe returns the version of a key that opens without a person.
func (s *store) mustProbe(t TB, name string) string {
	t.Helper()
	version, err := s.probe(t.Context(), name)
	if err != nil {
		t.Fatalf("Probe(%q) of a key that opens: %v", name, err)
	}
	return version
}

// checkProbeLocked wants Probe to tell that a key is locked if Open does.
func (s *store) checkProbeLocked(t TB, name, what string) {
	t.Helper()
	_, err := s.probe(t.Context(), name)
	mustNotBeAbsent(t, "Probe of "+what, err)
	_, opening := s.open(signer.WithoutPrompt(t.Context()), name)
	if errors.Is(opening, signer.ErrLocked) {
		mustBe(t, "Probe of "+what, err, signer.ErrLocked)
	}
}
