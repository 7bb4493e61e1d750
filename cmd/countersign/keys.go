package main

import (
	"context"
	"os"
	"time"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// promptTimeout is how long a person at a terminal has to unlock the keychain.
const promptTimeout = 2 * time.Minute

// backends are the configured ones, set up for a command: variables are not left
// for children, and somebody is asked where somebody is there.
func (a *app) backends(c *config.Config) signer.Mux {
	m := c.Backends()
	if k := m["keyring"].(*keyring.Backend); k.PromptTimeout == 0 && a.hasTerminal() {
		k.PromptTimeout = promptTimeout
	}
	m["env"] = &env.Backend{Unset: true, Passphrase: a.passphrase()}
	files := m["file"].(*file.Backend)
	files.Passphrase = a.orAsk(files.Passphrase)
	return m
}

// orAsk has the configured item of the keychain unlock a key file, if there is
// one, and somebody at the terminal where the item is not there, or the keychain.
// A keychain that is locked is not passed over, and what a flag gives is binding.
func (a *app) orAsk(item signer.PassphraseFunc) signer.PassphraseFunc {
	ask := a.passphrase()
	switch {
	case item == nil || a.unlock.read != nil:
		return ask
	case ask == nil:
		return item
	}
	return func(ctx context.Context, prompt string) ([]byte, error) {
		secret, err := item(ctx, prompt)
		if !signer.IsAbsent(err) {
			return secret, err
		}
		a.note("countersign: %v\n", err)
		return ask(ctx, prompt)
	}
}

// quietBackends ask nobody, whoever is there. Of pass, only gpg itself can be kept
// from asking.
func (a *app) quietBackends(c *config.Config) signer.Mux {
	const options = "PASSWORD_STORE_GPG_OPTS"
	os.Setenv(options, os.Getenv(options)+" --pinentry-mode=error")
	m := c.Backends()
	m["keyring"].(*keyring.Backend).PromptTimeout = 0
	m["file"].(*file.Backend).Passphrase = nil
	return m
}

// open opens the key that --key, COUNTERSIGN_KEY or the configuration names, for
// no registry in particular.
func (a *app) open(ctx context.Context) (signer.Signer, error) {
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	s, _, err := c.Choose(config.Here(a.key)).Open(ctx, a.backends(c))
	return s, err
}

// client opens the key for a registry at its first challenge and not before.
func (a *app) client() (*challenge.Client, error) {
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	return c.Client(a.backends(c), config.Here(a.key)), nil
}
