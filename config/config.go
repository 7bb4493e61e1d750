// Package config answers one question: which keys, in which order, for this
// registry on this platform, and why.
//
// What was asked for by flag, or else by the variable COUNTERSIGN_KEY, is one
// key, and nothing else is tried. Without either, the first list there is
// holds: of the registry's section in the configuration file, of the platform's
// section, of the file's top level, or the built-in one. docs/configuration.md
// describes the file.
package config

import (
	"maps"
	"slices"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/challenge"
)

// A Config is what a configuration file says. The zero value is that of an empty
// file: the built-in order holds. It never changes once it is made, and so is
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
	folder, passphrase     string // of key files: where they are, and the item in the keychain
}

// A section is one of a platform or of a registry.
type section struct {
	name     string // as written
	line     int
	site     site // zero in a section of a platform
	keys     []Candidate
	realms   []challenge.Origin // nil if the file does not say
	insecure bool
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
	return backends.Set{Env: &env.Backend{}, File: files, Keyring: keychain, Limit: c.limit}
}
