package keyring

import (
	"bytes"
	"context"
	"errors"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

// SetPassphrase stores the passphrase of a key that is kept elsewhere, where
// Generate would put a key of that name, and under the same rules. Keys and
// passphrases share their names: nothing is replaced (ErrExists), and Delete
// removes either.
func (b *Backend) SetPassphrase(ctx context.Context, name string, passphrase []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(passphrase) == 0 {
		return errors.New("the passphrase is empty: nothing was stored")
	}
	if !bytes.Equal(passphrase, keyfile.TrimLineEnd(passphrase)) {
		return errors.New("the passphrase ends with a line break, which is no part of one: nothing was stored")
	}
	// A call that is abandoned may still read it when the caller has changed it.
	return b.add(ctx, name, "passphrase of an SSH private key", bytes.Clone(passphrase))
}

// Passphrase returns what reads a passphrase that SetPassphrase stored, or
// another program: one line break at its end is then no part of it. It is read
// at each call and never held. Errors are of type *[signer.Error].
func (b *Backend) Passphrase(name string) signer.PassphraseFunc {
	return func(ctx context.Context, _ string) ([]byte, error) {
		secret, err := b.passphrase(ctx, name)
		return secret, signer.Wrap("passphrase", "keyring:"+name, err)
	}
}

func (b *Backend) passphrase(ctx context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	secret, err := run(ctx, b, func(ctx context.Context) (secret []byte, err error) {
		err = b.search(ctx, mayPrompt, func(r ring) error {
			secret, err = r.passphrase(name)
			return err
		})
		return secret, err
	})
	if errors.Is(err, signer.ErrNotFound) {
		return nil, signer.WithHint(err, signer.Hint{Do: "countersign key passphrase keyring:" + name, See: "keychain#the-passphrase-of-a-key-file"})
	}
	return secret, err
}

func (r ring) passphrase(name string) ([]byte, error) {
	data, err := r.get(name)
	if err != nil {
		return nil, err
	}
	secret := keyfile.TrimLineEnd(data)
	switch {
	case len(secret) == 0:
		return nil, damaged(r.store, "not-a-passphrase", "the item %q is empty", r.itemKey(name))
	case bytes.Contains(secret, []byte("PRIVATE KEY-----")):
		return nil, damaged(r.store, "not-a-passphrase", "the item %q is a private key", r.itemKey(name))
	}
	return secret, nil
}
