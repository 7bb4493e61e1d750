// Package config answers one question: which keys, in which order, for this
// registry on this platform, and why.
//
// A flag, or else the variable COUNTERSIGN_KEY, names one key, and no other key is
// tried. Without them the first of these lists that exists is used: that of the
// registry's section in the configuration file, that of the platform's section, that of
// the file's top level, and the built-in list. docs/configuration.md describes the file.
package config

import (
	"maps"
	"slices"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/agent"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/challenge"
)

// A Config is the content of a configuration file. The zero value is that of an empty
// file: the built-in order is used. A Config does not change after it was made, so it is
// safe for concurrent use.
type Config struct {
	file       string
	keys       []Candidate
	platforms  map[string]*section // by "GOOS" or "GOOS/GOARCH"
	registries map[string]*section // by site.String
	origins    map[challenge.Origin]*section
	limits     []Limit

	stores                 []keyring.Store
	timeout, promptTimeout time.Duration
	socket                 string // of the SSH agent
	vault                  vaultSettings
	folder, passphrase     string // of key files: where they are, and the item in the keychain
	plugins                map[string]plugin.Program
}

// A section is one of a platform or of a registry.
type section struct {
	name     string // as written
	line     int
	site     site // zero in a section of a platform
	keys     []Candidate
	realms   []challenge.Origin // nil if the file does not say
	insecure bool
	helper   Helper

	ca, certificate string // PEM files for TLS; "" if the file does not say
}

// File returns the path of the file that c was read from, or "" if there was
// none.
func (c *Config) File() string { return c.file }

// Platforms returns the names of the platforms that have a section, sorted.
func (c *Config) Platforms() []string { return slices.Sorted(maps.Keys(c.platforms)) }

// Registries returns the registries that have a section, "host" or "host:port",
// sorted.
func (c *Config) Registries() []string { return slices.Sorted(maps.Keys(c.registries)) }

// Backends returns all built-in backends, set up as the file says. Keys that they
// open sign for the purposes of the file only. Where the file
// names no item with the passphrase of key files, File.Passphrase is nil.
func (c *Config) Backends() backends.Set {
	keychain := &keyring.Backend{Stores: c.stores, Timeout: c.timeout, PromptTimeout: c.promptTimeout}
	files := &file.Backend{Dir: c.folder}
	if c.passphrase != "" {
		files.Passphrase = keychain.Passphrase(c.passphrase)
	}
	return backends.Set{
		Agent: &agent.Backend{Socket: c.socket}, Env: &env.Backend{}, File: files, Keyring: keychain,
		Plugin: &plugin.Backend{Programs: maps.Clone(c.plugins)}, Vault: c.vault.backend(), Limit: c.limit,
	}
}
