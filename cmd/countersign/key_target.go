package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// A target is where a key is to be put.
type target struct {
	ref, name string
	store     signer.Importer
	fresh     signer.Mux // backends that have never seen the key
}

func (a *app) targetFor(c *config.Config, ref string, flags *newKeyFlags) (target, error) {
	m, fresh, err := a.writing(c, flags)
	if err != nil {
		return target{}, err
	}
	store, name, err := able[signer.Importer](m, "import", ref)
	if err != nil {
		return target{}, err
	}
	return target{ref, name, store, fresh}, flags.check(store)
}

// put stores key, and returns its public half once a backend that does not hold
// it in memory has found it in the store and it has signed.
func (t target) put(ctx context.Context, key crypto.Signer) (ssh.PublicKey, error) {
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, signer.Wrap("import", t.ref, err)
	}
	if err := t.store.Import(ctx, t.name, key); err != nil {
		return nil, signer.Wrap("import", t.ref, err)
	}
	if err := try(ctx, t.fresh, t.ref, pub); err != nil {
		return nil, fmt.Errorf("%s was written and did not pass its test: %w\n  it is left there: try it with countersign key show, or remove it with countersign key delete", t.ref, err)
	}
	return pub, nil
}

// try opens ref, which must hold the key whose public half is pub, and has it
// sign.
func try(ctx context.Context, m signer.Mux, ref string, pub ssh.PublicKey) error {
	key, err := openSame(ctx, m, ref, pub)
	if err != nil {
		return err
	}
	msg := []byte("countersign tries a key: " + rand.Text()) // means nothing to any protocol
	sig, err := key.Sign(ctx, msg)
	if err != nil {
		return err
	}
	if pub.Verify(msg, sig) != nil {
		return errors.New("its signature is not good")
	}
	return nil
}

// openSame opens ref if it holds the key whose public half is pub.
func openSame(ctx context.Context, m signer.Mux, ref string, pub ssh.PublicKey) (signer.Signer, error) {
	key, err := m.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	if got := key.PublicKey(); !bytes.Equal(got.Marshal(), pub.Marshal()) {
		return nil, fmt.Errorf("it holds another key: %s instead of %s", ssh.FingerprintSHA256(got), ssh.FingerprintSHA256(pub))
	}
	return key, nil
}
