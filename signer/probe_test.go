package signer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign/countersign/signer"
)

// A probing store has one key, and keeps what it opened.
type probing struct {
	key       signer.Signer
	forgotten int
}

func (p *probing) Open(context.Context, string) (signer.Signer, error) { return p.key, nil }

func (p *probing) Probe(context.Context, string) (string, error) {
	return "version", signer.ErrLocked
}

func (p *probing) Forget(string) { p.forgotten++ }

func TestKeeperProbesAndForgets(t *testing.T) {
	store := &probing{key: newSigner(t)}
	k := &signer.Keeper{Backend: store}
	if version, err := k.Probe(t.Context(), "key"); version != "version" || !errors.Is(err, signer.ErrLocked) {
		t.Errorf("got %q, %v", version, err)
	}
	s, err := k.Open(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	k.Forget("other")
	if signer.IsStale(s) {
		t.Error("Forget of another name made the key stale")
	}
	k.Forget("key")
	if !signer.IsStale(s) || store.forgotten != 2 {
		t.Errorf("stale %v; the store forgot %d keys", signer.IsStale(s), store.forgotten)
	}
	none := &signer.Keeper{Backend: signer.OpenFunc(store.Open)}
	if _, err := none.Probe(t.Context(), "key"); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("a backend that cannot probe: %v", err)
	}
	none.Forget("key")
}

// TestIsLocked wants a key with a passphrase to be locked until its first signature, also
// behind a Keeper and a Mux.
func TestIsLocked(t *testing.T) {
	s, err := (signer.Mux{"store": &signer.Keeper{Backend: holds(parseLocked(t, says(secret)))}}).Open(t.Context(), "store:key")
	if err != nil {
		t.Fatal(err)
	}
	if !signer.IsLocked(s) {
		t.Error("before the first signature: not locked")
	}
	if _, err := s.Sign(t.Context(), []byte("message")); err != nil {
		t.Fatal(err)
	}
	if signer.IsLocked(s) || signer.IsLocked(newSigner(t)) {
		t.Error("a key that asks nobody is locked")
	}
}
