package doctor

import (
	"context"
	"errors"
	"slices"

	"github.com/countersign/countersign/signer"
)

// errNotOpened is the error for a key that is there and was not opened.
var errNotOpened = errors.New("it is there, and was not opened: the Keychain may ask whether this program may")

// openable returns the backends that the checks open keys from. On macOS the
// Keychain may ask a person before it hands out a key, and no call can prevent
// that. So there the keyring only lists its keys.
func (m *Machine) openable(goos string) signer.Mux {
	mux := m.Backends.Mux()
	if goos == "darwin" && m.Backends.Keyring != nil {
		mux["keyring"] = listedOnly(m.Backends.Keyring)
	}
	return mux
}

// listedOnly returns a backend that opens no key: the error tells whether the store
// lists the key.
func listedOnly(store signer.Lister) signer.Backend {
	return signer.OpenFunc(func(ctx context.Context, name string) (signer.Signer, error) {
		keys, err := store.List(ctx)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(k signer.Info) bool { return k.Name == name }) {
			return nil, errNotOpened
		}
		return nil, signer.ErrNotFound
	})
}
