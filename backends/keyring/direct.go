package keyring

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"

	"github.com/countersign/countersign/signer"
)

// direct asks the stores at each call. Backend keeps the keys that direct opened.
type direct struct{ b *Backend }

func (b *Backend) keys() *signer.Keeper {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keeper == nil {
		b.keeper = &signer.Keeper{Backend: direct{b}}
	}
	return b.keeper
}

// Open implements [signer.Backend]. The Signer is a heldKey.
func (d direct) Open(ctx context.Context, name string) (signer.Signer, error) {
	return run(ctx, d.b, func(ctx context.Context) (signer.Signer, error) {
		var k heldKey
		err := d.b.search(ctx, mayPrompt, func(r ring) (err error) {
			k, err = r.read(ctx, name)
			return err
		})
		return k, err
	})
}

// Generate implements [signer.Generator].
func (d direct) Generate(ctx context.Context, name string) (signer.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return d.add(ctx, name, key)
}

// Import implements [signer.Importer].
func (d direct) Import(ctx context.Context, name string, key crypto.Signer) error {
	_, err := d.add(ctx, name, key)
	return err
}

func (d direct) add(ctx context.Context, name string, key crypto.Signer) (signer.Signer, error) {
	s, data, err := encode(name, key)
	if err != nil {
		return nil, err
	}
	if err := d.b.add(ctx, name, "SSH private key", data); err != nil {
		return nil, err
	}
	return s, nil
}

// Delete implements [signer.Deleter].
func (d direct) Delete(ctx context.Context, name string) error {
	_, err := run(ctx, d.b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.b.search(ctx, mayPrompt, func(r ring) error { return r.remove(name) })
	})
	return d.b.settle(ctx, err, func(ctx context.Context) error { return d.b.lookDeleted(ctx, name) })
}
