package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/signer"
)

// A target is the place of a new key.
type target struct {
	ref, name string
	store     signer.Importer
	fresh     backends.Set // has not seen the key, so it opens the written one
}

func (a *app) targetFor(keys backends.Set, ref string, flags *keyFileFlags) (target, error) {
	keys, err := a.withKeyFileFlags(keys, flags)
	if err != nil {
		return target{}, err
	}
	store, name, err := backendFor[signer.Importer](keys, "import", ref)
	if err != nil {
		return target{}, err
	}
	fresh := withEmptyCache(keys)
	fresh.Limit = nil // the test signature is of no protocol, and stays in this process
	return target{ref, name, store, fresh}, flags.check(store)
}

// write stores key. It returns the public key after it has opened the stored key
// and made a test signature with it.
func (t target) write(ctx context.Context, key crypto.Signer) (ssh.PublicKey, error) {
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, signer.Wrap("import", t.ref, err)
	}
	if err := t.store.Import(ctx, t.name, key); err != nil {
		return nil, signer.Wrap("import", t.ref, err)
	}
	if err := signTest(ctx, t.fresh, t.ref, pub); err != nil {
		err = fmt.Errorf("%s was written and did not pass its test: %w", t.ref, err)
		return nil, signer.WithHint(err, signer.Hint{Do: "it is left there: try it with countersign key show " + quoteRef(t.ref) + ", or remove it with countersign key delete " + quoteRef(t.ref)})
	}
	return pub, nil
}

// signTest opens ref, which must hold the private key of pub, and makes and checks
// a signature.
func signTest(ctx context.Context, keys backends.Set, ref string, pub ssh.PublicKey) error {
	key, err := openSame(ctx, keys, ref, pub)
	if err != nil {
		return err
	}
	msg := []byte("countersign tries a key: " + rand.Text()) // a text of no protocol
	sig, err := key.Sign(ctx, msg)
	if err != nil {
		return err
	}
	if pub.Verify(msg, sig) != nil {
		return errors.New("its signature is not good")
	}
	return nil
}

// openSame opens ref. It fails if ref does not hold the private key of pub.
func openSame(ctx context.Context, m signer.Backend, ref string, pub ssh.PublicKey) (signer.Signer, error) {
	key, err := m.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	if got := key.PublicKey(); !signer.SameKey(got, pub) {
		return nil, fmt.Errorf("it holds another key: %s instead of %s", ssh.FingerprintSHA256(got), ssh.FingerprintSHA256(pub))
	}
	return key, nil
}
