package keyring

import (
	"context"
	"crypto"

	"github.com/countersign/countersign/signer"
)

// direct asks the stores at each call. Backend keeps the keys that direct opens.
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

// Import implements [signer.Importer].
func (d direct) Import(ctx context.Context, name string, key crypto.Signer) error {
	data, err := encode(name, key)
	if err != nil {
		return err
	}
	return d.b.add(ctx, name, "SSH private key", data)
}

// Delete implements [signer.Deleter].
func (d direct) Delete(ctx context.Context, name string) error {
	_, err := run(ctx, d.b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.b.search(ctx, mayPrompt, func(r ring) error { return r.remove(name) })
	})
	return err
}
