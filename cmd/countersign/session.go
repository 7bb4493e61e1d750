package main

import (
	"cmp"
	"context"
	"os"
	"strings"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// promptTimeout is how long a person at a terminal has to unlock the keychain.
const promptTimeout = 2 * time.Minute

// quietTimeout is how long an agent may take where no person is asked: to list its
// keys.
const quietTimeout = 3 * time.Second

// A session holds the state that one run of the command shares: the
// configuration, which is read once, and the keys that were in the environment.
type session struct {
	config *config.Config // an empty one if err is set
	err    error          // why the configuration cannot be used
	env    *env.Backend

	vaultToken func() string // what the variable BAO_TOKEN or VAULT_TOKEN held
}

// newSession reads the configuration and removes all keys from the environment,
// so that no child process inherits one: those that the configuration names, and
// those of refs. Other strings in refs are ignored. It removes the token of a Vault
// server, too.
func newSession(ctx context.Context, refs ...string) (*session, error) {
	s := &session{env: &env.Backend{Unset: true}, vaultToken: takeVaultToken()}
	s.config, s.err = signer.Await(ctx, config.Load) // it waits where the file is on a network
	if s.err != nil {
		s.config = &config.Config{}
	}
	var names []string
	for _, ref := range append(s.config.References(os.Getenv), refs...) {
		if name, ok := strings.CutPrefix(ref, "env:"); ok {
			names = append(names, name)
		}
	}
	return s, s.env.Capture(names...)
}

// takeVaultToken removes the variables with a token and returns a function that tells
// it.
func takeVaultToken() func() string {
	token := cmp.Or(os.Getenv("BAO_TOKEN"), os.Getenv("VAULT_TOKEN"))
	os.Unsetenv("BAO_TOKEN")
	os.Unsetenv("VAULT_TOKEN")
	return func() string { return token }
}

// load returns the configuration and the backends that it sets up. They ask the
// person at the terminal, if there is one.
func (a *app) load() (*config.Config, backends.Set, error) {
	if a.session.err != nil {
		a.warnOfConfigFile(config.Path())
		return nil, backends.Set{}, a.session.err
	}
	keys := a.session.config.Backends()
	if keys.Keyring.PromptTimeout == 0 && a.terminal.IsPresent() {
		keys.Keyring.PromptTimeout = promptTimeout
	}
	keys.Env = a.session.env
	keys.Env.Passphrase = a.passphrase()
	keys.File.Passphrase = a.filePassphrase(keys.File.Passphrase)
	keys.Vault.Token = a.session.vaultToken
	keys.Plugin.Passphrase = a.passphrase()
	a.warnOfConfigFile(a.session.config.File())
	return a.session.config, keys, nil
}

// filePassphrase returns the function that unlocks key files. item reads the
// passphrase from the keychain; it is nil if none is configured. The person at
// the terminal is asked only if the item or the keychain is not there: a locked
// keychain ends the search. A passphrase that a flag gives is the only one tried.
func (a *app) filePassphrase(item signer.PassphraseFunc) signer.PassphraseFunc {
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

// quietBackends returns the configured backends, set up so that they never ask a
// person. Only gpg itself can keep pass from asking.
func (a *app) quietBackends() backends.Set {
	const options = "PASSWORD_STORE_GPG_OPTS"
	os.Setenv(options, os.Getenv(options)+" --pinentry-mode=error")
	keys := a.session.config.Backends()
	keys.Env = a.session.env
	keys.Keyring.PromptTimeout = 0
	keys.Agent.Timeout = quietTimeout
	keys.File.Passphrase = nil
	keys.Vault.Token = a.session.vaultToken
	return keys
}

// withEmptyCache returns keys with a keychain backend that has read no key yet,
// so that it looks into the store.
func withEmptyCache(keys backends.Set) backends.Set {
	k := keys.Keyring
	keys.Keyring = &keyring.Backend{Stores: k.Stores, Timeout: k.Timeout, PromptTimeout: k.PromptTimeout}
	return keys
}

// open opens the key that --key, COUNTERSIGN_KEY or the configuration names,
// without regard to a registry.
func (a *app) open(ctx context.Context) (signer.Signer, error) {
	c, keys, err := a.load()
	if err != nil {
		return nil, err
	}
	s, _, err := c.Choose(config.Here(a.key)).Open(ctx, keys)
	return s, err
}

// client returns a client that opens the key for a registry at the first
// challenge of that registry.
func (a *app) client() (*challenge.Client, error) {
	c, keys, err := a.load()
	if err != nil {
		return nil, err
	}
	return c.Client(keys, config.Here(a.key)), nil
}
