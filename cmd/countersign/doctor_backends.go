package main

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/signer"
)

// unlockingBackends ask nobody, and unlock what a flag or the configuration has
// the passphrase of.
func (a *app) unlockingBackends() backends.Set {
	keys, configured := a.quietBackends(), a.session.config.Backends()
	configured.Keyring.PromptTimeout = 0
	if runtime.GOOS != "darwin" {
		keys.File.Passphrase = configured.File.Passphrase
	}
	if a.unlock.read != nil {
		keys.File.Passphrase = a.unlock.answer
		keys.Env.Passphrase = a.unlock.answer
	}
	return keys
}

// errNotOpened: a key is there, and nothing else is known of it.
var errNotOpened = errors.New("it is there, and was not opened: the Keychain may ask whether this program may")

// keys returns the backends that the checks open keys from. On macOS the Keychain
// may ask a person before it hands out a key, and no call can prevent that. So
// there the keyring only lists its keys.
func (d *doctor) keys(goos string) signer.Mux {
	m := d.backends.Mux()
	if goos == "darwin" {
		m["keyring"] = listedOnly(d.backends.Keyring)
	}
	return m
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
