// Package keyring keeps keys in the operating system's own store: the Secret
// Service or KWallet on Linux, the Keychain on macOS, the Credential Manager on
// Windows; pass and the kernel's keyring where they are named.
//
// It goes through github.com/99designs/keyring and answers for what that
// package leaves open: no call hangs, none prompts unasked, none overwrites, a
// locked store is never taken for one without the key, and every error says
// what is wrong and where docs/keychain.md has the cure.
package keyring

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

// A Backend opens keys in the operating system's stores. It implements all
// abilities that package signer names. The zero value is ready: the platform's
// own store, and nobody there to answer a prompt.
//
// A key is read once and then held in memory until the Backend is dropped, so
// that a prompt comes at most once per key, however many ask at once; what
// others do to the store meanwhile goes unnoticed. A failure is not held.
//
// A name is a relative slash-separated path without ";" and has at most 200
// bytes, so that every store can hold it.
//
// A call ends when its context does, or after Timeout and PromptTimeout. A call
// of the store that is still hanging then is abandoned: it keeps one of four
// slots until it ends, and when all four are taken, calls fail. An abandoned
// write may still succeed.
type Backend struct {
	// Stores are asked in this order. Nil means the platform's own: the Secret
	// Service, then KWallet on Linux; the Keychain on macOS; the Credential
	// Manager on Windows; none elsewhere. A store that is not there is passed
	// over; one that is locked, or does not answer, ends the search.
	Stores []Store

	// Timeout is how long a store may take to answer; 0 means 3 seconds.
	Timeout time.Duration

	// PromptTimeout is how long somebody has, in addition, to answer a prompt of
	// the store. 0 means that nobody is there: no prompt is opened where that is
	// ours to decide.
	PromptTimeout time.Duration

	mu     sync.Mutex
	slots  chan struct{}
	keeper *signer.Keeper // of direct
}

var _ interface {
	signer.Backend
	signer.Generator
	signer.Importer
	signer.Exporter
	signer.Lister
	signer.Deleter
} = (*Backend)(nil)

// Open implements [signer.Backend]. The key signs in memory: it goes on when the
// store is locked, or gone.
func (b *Backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return b.keys().Open(ctx, name)
}

// Export implements [signer.Exporter].
func (b *Backend) Export(ctx context.Context, name string) (crypto.Signer, error) {
	s, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	held := s.(interface{ Unwrap() signer.Signer }).Unwrap().(heldKey)
	return held.private(ctx)
}

// Generate implements [signer.Generator]: in the first store that is there,
// unless any of them has the name already.
func (b *Backend) Generate(ctx context.Context, name string) (signer.Signer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return b.keys().Generate(ctx, name)
}

// Import implements [signer.Importer], where Generate would put the key.
func (b *Backend) Import(ctx context.Context, name string, key crypto.Signer) error {
	if err := checkName(name); err != nil {
		return err
	}
	return b.keys().Import(ctx, name, key)
}

// List implements [signer.Lister], for all stores that are there. It reads no
// key, so no [signer.Info] has a public key. If a store fails, List returns the
// error and the names in the other stores.
func (b *Backend) List(ctx context.Context) ([]signer.Info, error) {
	return run(ctx, b, func(ctx context.Context) ([]signer.Info, error) {
		names, err := b.listStores(ctx)
		slices.Sort(names)
		infos := []signer.Info{}
		for _, name := range slices.Compact(names) {
			infos = append(infos, signer.Info{Name: name})
		}
		return infos, err
	})
}

// Delete implements [signer.Deleter]: it removes the key that Open would open
// first, and none but that.
func (b *Backend) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return b.keys().Delete(ctx, name)
}

// add stores data, as what description says, under a name that no store has.
func (b *Backend) add(ctx context.Context, name, description string, data []byte) error {
	_, err := run(ctx, b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.create(ctx, name, description, data)
	})
	return b.settle(ctx, err, func(ctx context.Context) error { return b.lookWritten(ctx, name, data) })
}

// create holds a lock from the look to the write: 99designs/keyring knows no way
// to create only if absent.
func (b *Backend) create(ctx context.Context, name, description string, data []byte) error {
	if err := b.search(ctx, mayPrompt, func(ring) error { return nil }); err != nil {
		return err // no store is there, and so nothing to lock
	}
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	var target *ring
	err = b.search(ctx, mayPrompt, func(r ring) error {
		if target == nil {
			target = &r
		}
		return r.absent(name)
	})
	switch {
	case target == nil || !errors.Is(err, signer.ErrNotFound):
		return err
	case ctx.Err() != nil:
		return ctx.Err() // nobody waits for it any more
	}
	return target.write(keyring.Item{Key: target.itemKey(name), Label: target.label(name), Data: data, Description: description})
}
