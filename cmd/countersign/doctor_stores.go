package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
)

// backends are the configured ones, set up so that nobody is asked.
func (d *doctor) backends() signer.Mux {
	m := d.config.Backends()
	m["keyring"].(*keyring.Backend).PromptTimeout = 0
	return m
}

func (d *doctor) storeChecks() []check {
	var checks []check
	all := d.backends()
	for _, scheme := range slices.Sorted(maps.Keys(all)) {
		if k, ok := all[scheme].(*keyring.Backend); ok {
			checks = append(checks, keyringChecks(scheme, k)...)
			continue
		}
		checks = append(checks, storeCheck(scheme, "", all[scheme]))
	}
	return checks
}

// keyringChecks look at each store alone: together, one would hide another.
func keyringChecks(scheme string, k *keyring.Backend) []check {
	stores := k.Stores
	if stores == nil {
		stores = keyring.PlatformStores()
	}
	if len(stores) == 0 {
		return []check{storeCheck(scheme, "", k)}
	}
	var checks []check
	for _, s := range stores {
		checks = append(checks, storeCheck(scheme, string(s), &keyring.Backend{Stores: []keyring.Store{s}, Timeout: k.Timeout}))
	}
	return checks
}

func storeCheck(scheme, store string, b signer.Backend) check {
	c := check{name: scheme, about: store}
	c.run = func(ctx context.Context) []finding {
		lister, ok := b.(signer.Lister)
		if !ok {
			return []finding{c.found(stateOK, "always here; it has no list of its keys", "")}
		}
		keys, err := lister.List(ctx)
		if err == nil {
			return []finding{c.found(stateOK, listed(scheme, keys), "")}
		}
		f := c.failed(stateWarning, err)
		if errors.Is(err, signer.ErrUnavailable) || errors.Is(err, signer.ErrNotFound) {
			f.State = stateNote // the check of the keys tells whether one is missed for it
		}
		f.Seen = strings.Replace(f.Seen, store+": ", "", 1)
		return []finding{f}
	}
	return c
}

// listed is for a store that let itself be read, and so is unlocked.
func listed(scheme string, keys []signer.Info) string {
	if len(keys) == 0 {
		return "here and open, without keys"
	}
	var refs []string
	for _, k := range keys {
		refs = append(refs, scheme+":"+k.Name)
	}
	return "here and open, with " + plural(len(keys), "key") + ": " + strings.Join(refs, ", ")
}
