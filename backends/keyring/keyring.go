// Package keyring keeps keys in the operating system's own store: the Secret
// Service or KWallet on Linux, the Keychain on macOS, the Credential Manager on
// Windows. The stores pass and keyctl are used if a program names them.
//
// The package has clients of its own for the stores on D-Bus, and uses
// github.com/99designs/keyring for the other stores. It adds promises that
// 99designs/keyring does not make: no call hangs, no call opens a prompt where
// nobody can answer it, no call overwrites a key, and a locked store is never
// taken for a store without the key. Each error has a [signer.Hint] with the
// action that helps and the heading of docs/keychain.md that explains it.
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
// optional interfaces of package signer. The zero value is ready: it uses the
// platform's own stores and opens no prompt that it can avoid.
//
// A Backend reads a key once and keeps it in memory, so a prompt comes at most
// once per key, even if many goroutines need the key. It does not notice changes
// that other programs make to the store later. It does not keep a failure.
//
// A name is a relative slash-separated path without ";" and has at most 200
// bytes, so that every store can hold it.
//
// A call ends when its context does, or after Timeout and PromptTimeout. If a
// call of the store still hangs then, the Backend abandons it: the call occupies
// one of four slots until it ends. When all four slots are occupied, further
// calls fail. After a change that got no answer, the Backend takes up to Timeout
// to look whether the store made it. An abandoned change may still happen later.
type Backend struct {
	// Stores are asked in this order. Nil means the platform's own stores: the
	// Secret Service, then KWallet on Linux; the Keychain on macOS; the
	// Credential Manager on Windows; none elsewhere. A store that is absent is
	// passed over. A store that is locked, refuses or does not answer ends the
	// search.
	Stores []Store

	// Timeout is how long a store may take to answer; 0 means 3 seconds.
	Timeout time.Duration

	// PromptTimeout is how long a person has, in addition, to answer a prompt of
	// the store. 0 means that no person is there: the Backend unlocks nothing,
	// and [signer.ErrLocked] comes at once. Some stores can ask all the same:
	// macOS's Keychain, KWallet, pass, and KeePassXC before it deletes an item.
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
	signer.Prober
	signer.Forgetter
} = (*Backend)(nil)

// Open implements [signer.Backend]. The key signs in memory, also after the store
// was locked or has ended.
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

// Generate implements [signer.Generator]. It uses the first store that is not
// absent, and fails if any store has the name already.
func (b *Backend) Generate(ctx context.Context, name string) (signer.Signer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return b.keys().Generate(ctx, name)
}

// Import implements [signer.Importer]. It uses the same store as Generate.
func (b *Backend) Import(ctx context.Context, name string, key crypto.Signer) error {
	if err := checkName(name); err != nil {
		return err
	}
	return b.keys().Import(ctx, name, key)
}

// List implements [signer.Lister], for all stores that are not absent. It reads
// no key, so no [signer.Info] has a public key. If a store fails, List returns the
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

// Delete implements [signer.Deleter]. If several stores have the name, it removes
// only the key that Open opens.
func (b *Backend) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return b.keys().Delete(ctx, name)
}

// IsVolatile reports whether a new key would be in a store that forgets it when the
// machine or the session ends: keyctl, and the collection "session" of the Secret
// Service. It may prompt, as the operation that adds the key would.
func (b *Backend) IsVolatile(ctx context.Context) (bool, error) {
	return run(ctx, b, func(ctx context.Context) (volatile bool, err error) {
		err = b.search(ctx, mayPrompt, func(r ring) error {
			v, ok := r.items.(interface{ isVolatile() bool })
			volatile = ok && v.isVolatile()
			return nil
		})
		return volatile, err
	})
}

// add stores data with a description under a name that no store has.
func (b *Backend) add(ctx context.Context, name, description string, data []byte) error {
	_, err := run(ctx, b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.create(ctx, name, description, data)
	})
	return b.settle(ctx, err, func(ctx context.Context) error { return b.lookWritten(ctx, name, data) })
}

// create locks out other processes while it looks for the name and writes the
// item, because the stores cannot create an item only if it is absent.
func (b *Backend) create(ctx context.Context, name, description string, data []byte) error {
	if err := b.search(ctx, mayPrompt, func(ring) error { return nil }); err != nil {
		return err // all stores are absent, and nothing needs the lock
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
		return ctx.Err() // the caller does not wait any more
	}
	return target.write(keyring.Item{Key: target.itemKey(name), Label: target.label(name), Data: data, Description: description})
}
