package keyring

import (
	"bytes"
	"context"
	"errors"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

// passphraseDescription is the description of an item with a passphrase, in the stores
// that keep one.
const passphraseDescription = "passphrase of an SSH private key"

// SetPassphrase stores the passphrase of a key that is not in the keychain. It
// uses the same store as Generate. A key and a passphrase cannot have the same
// name: SetPassphrase replaces nothing (ErrExists). Delete removes a passphrase
// as it removes a key.
func (b *Backend) SetPassphrase(ctx context.Context, name string, passphrase []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(passphrase) == 0 {
		return errors.New("the passphrase is empty: nothing was stored")
	}
	if !bytes.Equal(passphrase, keyfile.TrimLineEnd(passphrase)) {
		return errors.New("the passphrase ends with a line break, which is not part of a passphrase: nothing was stored")
	}
	// An abandoned call may still read the copy when the caller has changed
	// passphrase.
	return b.add(ctx, name, passphraseDescription, bytes.Clone(passphrase))
}

// Passphrase returns a function that reads a passphrase that SetPassphrase or
// another program stored. One line break at its end is not part of the
// passphrase. The function reads the store at each call and keeps nothing. Its
// errors are of type *[signer.Error].
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
