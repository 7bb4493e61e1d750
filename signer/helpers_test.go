package signer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// fails is a backend that has nothing but this error.
func fails(err error) signer.OpenFunc {
	return func(context.Context, string) (signer.Signer, error) { return nil, err }
}

// holds is a backend that has this key under every name.
func holds(s signer.Signer) signer.OpenFunc {
	return func(context.Context, string) (signer.Signer, error) { return s, nil }
}

func newSigner(t testing.TB) signer.Signer {
	t.Helper()
	s, err := signer.New(signertest.NewKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantIs fails unless err is want, and for no error at all.
func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want one that is %q", err, want)
	}
}

// checkSign fails unless s signs msg with its public key in that format.
func checkSign(t testing.TB, s signer.Signer, format string) {
	t.Helper()
	msg := []byte("halt, who goes there?")
	sig, err := s.Sign(t.Context(), msg)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	if sig.Format != format {
		t.Errorf("the signature has format %q, want %q", sig.Format, format)
	}
	if err := s.PublicKey().Verify(msg, sig); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
}

// sentinels are all errors of the contract.
var sentinels = []error{
	signer.ErrNotFound, signer.ErrExists, signer.ErrUnavailable, signer.ErrLocked,
	signer.ErrDenied, signer.ErrInsecure, signer.ErrUnsupported, signer.ErrName,
}
