package conformance

import (
	"bytes"
	"context"
	"crypto"
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func checkSign(t TB, s *store) {
	name, pub := s.stored(t)
	s.checkSign(t, name, pub)
}

func checkSignECDSA(t TB, s *store) { s.checkSignWith(t, newECDSA(t)) }
func checkSignRSA(t TB, s *store)   { s.checkSignWith(t, newRSA(t)) }

func (s *store) checkSignWith(t TB, key crypto.Signer) {
	s.checkSign(t, s.put(t, key), publicKey(t, key))
}

func (s *store) checkSign(t TB, name string, pub ssh.PublicKey) {
	k, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	var sigs []*ssh.Signature
	messages := [][]byte{
		nil,
		{0},
		[]byte("GET,https://registry.example.com/token?ts=1,47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="),
		bytes.Repeat([]byte{0xa5}, 32), // no digest, for all that it looks like one
		bytes.Repeat([]byte{0xa5}, 64),
	}
	if _, err := s.sign(t.Context(), k, nil); errors.Is(err, signer.ErrUnsupported) {
		messages = messages[1:] // some key services sign no empty message, and say so
	}
	for _, msg := range messages {
		sigs = append(sigs, s.signs(t, k, pub, msg))
	}
	for i, msg := range messages { // a signature must not live in a buffer of the backend
		if err := verify(pub, msg, sigs[i]); err != nil {
			t.Errorf("a signature went bad when the next one was made: %v", err)
		}
	}
	s.signsLarge(t, k, pub)
}

// signsLarge allows for a store with a limit, as OpenSSH's agent has (256 KiB),
// if it says so.
func (s *store) signsLarge(t TB, k signer.Signer, pub ssh.PublicKey) {
	t.Helper()
	msg := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sig, err := s.sign(t.Context(), k, msg)
	if errors.Is(err, signer.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatalf("Sign of 1 MiB: %v", err)
	}
	if err := verify(pub, msg, sig); err != nil {
		t.Errorf("Sign of 1 MiB: %v", err)
	}
}

// signs checks that k is the key of pub and signs msg with it.
func (s *store) signs(t TB, k signer.Signer, pub ssh.PublicKey, msg []byte) *ssh.Signature {
	t.Helper()
	if got := k.PublicKey(); !signer.SameKey(got, pub) {
		t.Errorf("PublicKey is %s, want %s", fingerprint(got), fingerprint(pub))
	}
	given := bytes.Clone(msg)
	sig, err := s.sign(t.Context(), k, given)
	if err != nil {
		t.Fatalf("Sign of %d bytes: %v", len(msg), err)
	}
	if !bytes.Equal(given, msg) {
		t.Error("Sign changed the message")
	}
	if err := verify(pub, msg, sig); err != nil {
		t.Errorf("Sign of %d bytes: %v", len(msg), err)
	}
	if got := k.PublicKey(); !signer.SameKey(got, pub) {
		t.Errorf("PublicKey is %s after Sign, want %s", fingerprint(got), fingerprint(pub))
	}
	return sig
}

func (s *store) sign(ctx context.Context, k signer.Signer, msg []byte) (*ssh.Signature, error) {
	sig, err := k.Sign(ctx, msg)
	s.remember(err)
	if sig != nil {
		s.remember(sig)
	}
	return sig, err
}

func checkSignChangesNothing(t TB, s *store) {
	name, pub := s.stored(t)
	before := s.snapshot(t)
	k, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	s.signs(t, k, pub, []byte("message"))
	s.unchanged(t, before, "Open and Sign")
	if k, ok := k.(signer.Staler); ok && k.Stale() {
		t.Error("the Signer is stale, and nothing has changed")
	}
}
