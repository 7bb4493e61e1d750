package keyring

import (
	"context"
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// Probe implements [signer.Prober]. It does not read a key from a store that may ask a
// person or show that the key was read. It cannot tell whether the Keychain of macOS or
// pass would ask.
func (b *Backend) Probe(ctx context.Context, name string) (version string, err error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	type probed struct {
		version string
		err     error
	}
	p, err := run(ctx, b, func(ctx context.Context) (p probed, err error) {
		p.err = b.searchAll(ctx, noPrompt, func(r ring, opened error) (err error) {
			if opened != nil && (r.items == nil || !errors.Is(opened, signer.ErrLocked)) {
				return opened
			}
			p.version, err = r.version(ctx, name)
			if opened != nil {
				return opened
			}
			return err
		})
		return p, nil
	})
	if err != nil {
		return "", err
	}
	return p.version, p.err
}

// Forget implements [signer.Forgetter].
func (b *Backend) Forget(name string) { b.keys().Forget(name) }

// version returns a text that changes when another key gets the name, and an error if
// the key cannot be read without a person.
func (r ring) version(ctx context.Context, name string) (string, error) {
	store, ok := r.items.(interface {
		version(key string) (string, error)
	})
	if ok {
		version, err := store.version(r.itemKey(name))
		if err != nil {
			return version, r.explain(name, err)
		}
		return version, nil
	}
	k, err := r.read(ctx, name)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(k.PublicKey()), nil
}
