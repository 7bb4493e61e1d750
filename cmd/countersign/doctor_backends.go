package main

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// unlockingBackends ask nobody, and unlock what a flag or the configuration has
// the passphrase of.
func (a *app) unlockingBackends(c *config.Config) signer.Mux {
	m, configured := a.quietBackends(c), c.Backends()
	configured["keyring"].(*keyring.Backend).PromptTimeout = 0
	files := m["file"].(*file.Backend)
	if runtime.GOOS != "darwin" {
		files.Passphrase = configured["file"].(*file.Backend).Passphrase
	}
	if a.unlock.read != nil {
		files.Passphrase = a.unlock.answer
		m["env"].(*env.Backend).Passphrase = a.unlock.answer
	}
	return m
}

// errNotOpened: a key is there, and nothing else is known of it.
var errNotOpened = errors.New("it is there, and was not opened: the Keychain may ask whether this program may")

// keys are the backends, but that of macOS's Keychain only looks whether a key
// is there: reading it may ask somebody, which no call can prevent.
func (d *doctor) keys(goos string) signer.Mux {
	store, ok := d.backends["keyring"].(signer.Lister)
	if goos != "darwin" || !ok {
		return d.backends
	}
	m := maps.Clone(d.backends)
	m["keyring"] = signer.OpenFunc(func(ctx context.Context, name string) (signer.Signer, error) {
		keys, err := store.List(ctx)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(k signer.Info) bool { return k.Name == name }) {
			return nil, errNotOpened
		}
		return nil, signer.ErrNotFound
	})
	return m
}
