package keyring

import (
	"errors"

	"github.com/99designs/keyring"
)

// keyCtl tells a key that may not be touched from an absent one.
type keyCtl struct{ keyring.Keyring }

func openKeyCtl() (keyring.Keyring, error) {
	// Without a ServiceName: with one, opening would create a keyring.
	k, err := open99(KeyCtl, keyring.Config{KeyCtlScope: "user"})
	return keyCtl{k}, err
}

func (k keyCtl) Remove(key string) error {
	if _, err := k.Get(key); err != nil {
		return err
	}
	err := k.Keyring.Remove(key)
	if errors.Is(err, keyring.ErrKeyNotFound) {
		return errors.New("the kernel does not let go of the key")
	}
	return err
}
