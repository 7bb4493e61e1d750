// Package backends joins the built-in backends. A program that wants only some
// of them, and to compile in nothing of the others, fills a [signer.Mux] itself.
package backends

import (
	"context"

	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/signer"
)

// A Set holds the built-in backends, each in a field of its own type. A field
// that is nil leaves out that backend. A Set is itself a [signer.Backend] that
// opens references.
type Set struct {
	Agent   *agent.Backend
	Env     *env.Backend
	File    *file.Backend
	Keyring *keyring.Backend
	Plugin  *plugin.Backend
	Vault   *vault.Backend

	// Limit returns s, the key that ref opened, or a Signer that signs with s for some
	// purposes only. Open calls it for each key. The Mux does not. Nil: no limits.
	Limit func(ref string, s signer.Signer) signer.Signer
}

var _ signer.Backend = Set{}

// New returns every built-in backend at its zero value. Set their fields before
// the first use:
//
//	keys := backends.New()
//	keys.Env.Unset = true
func New() Set {
	return Set{
		Agent: &agent.Backend{}, Env: &env.Backend{}, File: &file.Backend{}, Keyring: &keyring.Backend{},
		Plugin: &plugin.Backend{}, Vault: &vault.Backend{},
	}
}

// Mux returns a new Mux with the backends of s under their schemes. To it a
// program can add backends of its own.
func (s Set) Mux() signer.Mux {
	m := signer.Mux{}
	if s.Agent != nil {
		m["agent"] = s.Agent
	}
	if s.Env != nil {
		m["env"] = s.Env
	}
	if s.File != nil {
		m["file"] = s.File
	}
	if s.Keyring != nil {
		m["keyring"] = s.Keyring
	}
	if s.Plugin != nil {
		m["plugin"] = s.Plugin
	}
	if s.Vault != nil {
		m["vault"] = s.Vault
	}
	return m
}

// Open opens the key that ref names, as [signer.Mux.Open] does, and limits it.
func (s Set) Open(ctx context.Context, ref string) (signer.Signer, error) {
	key, err := s.Mux().Open(ctx, ref)
	if err != nil || s.Limit == nil {
		return key, err
	}
	return s.Limit(ref, key), nil
}
