package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/file"
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

// keepLocked gives a key file the passphrase that unlocked its source, unless flags
// give it another passphrase.
func (t target) keepLocked(unlockedWith func() []byte) {
	files, ok := t.store.(*file.Backend)
	secret := unlockedWith()
	if !ok || files.NewPassphrase != nil || secret == nil {
		return
	}
	same := func(context.Context, string) ([]byte, error) { return bytes.Clone(secret), nil }
	files.NewPassphrase, files.Passphrase = same, same
}

// isOpenFile reports whether the key is to be in a file without a passphrase.
func (t target) isOpenFile() bool {
	files, ok := t.store.(*file.Backend)
	return ok && files.NewPassphrase == nil
}

// write stores key. It returns the public key after it has opened the stored key
// and made a test signature with it. If the key was there already, write changes
// nothing and reports false.
func (t target) write(ctx context.Context, key crypto.Signer) (pub ssh.PublicKey, written bool, err error) {
	if pub, err = ssh.NewPublicKey(key.Public()); err != nil {
		return nil, false, signer.Wrap("import", t.ref, err)
	}
	if err := t.store.Import(ctx, t.name, key); err != nil {
		if errors.Is(err, signer.ErrExists) {
			if _, other := openAndCompare(ctx, t.fresh, t.ref, pub); other == nil {
				return pub, false, nil
			}
		}
		return nil, false, signer.Wrap("import", t.ref, err)
	}
	if err := signTest(ctx, t.fresh, t.ref, pub); err != nil {
		err = fmt.Errorf("%s was written and did not pass its test: %w", t.ref, err)
		return nil, true, signer.WithHint(err, signer.Hint{Do: "it is left there: try it with countersign key show " + quoteRef(t.ref) + ", or remove it with countersign key delete " + quoteRef(t.ref)})
	}
	return pub, true, nil
}

// printWritten prints the public key of a key that was written. It tells if the key
// was there already.
func (a *app) printWritten(t target, pub ssh.PublicKey, written bool) error {
	if !written {
		a.note("countersign: %s holds this key already and was left as it is\n", t.ref)
	}
	return a.printKey(pub)
}

// signTest opens ref, which must hold the private key of pub, and makes and checks
// a signature.
func signTest(ctx context.Context, keys backends.Set, ref string, pub ssh.PublicKey) error {
	key, err := openAndCompare(ctx, keys, ref, pub)
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

// openAndCompare opens ref. It fails if ref does not hold the private key of pub.
func openAndCompare(ctx context.Context, m signer.Backend, ref string, pub ssh.PublicKey) (signer.Signer, error) {
	key, err := m.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	if got := key.PublicKey(); !signer.SameKey(got, pub) {
		return nil, fmt.Errorf("it holds another key: %s instead of %s", ssh.FingerprintSHA256(got), ssh.FingerprintSHA256(pub))
	}
	return key, nil
}
