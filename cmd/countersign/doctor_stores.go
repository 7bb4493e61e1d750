package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/signer"
)

func (d *doctor) storeChecks() []check {
	var checks []check
	m := d.backends.Mux()
	for _, scheme := range slices.Sorted(maps.Keys(m)) {
		if scheme == "keyring" {
			checks = append(checks, keyringChecks(scheme, d.backends.Keyring)...)
			continue
		}
		checks = append(checks, storeCheck(scheme, "", m[scheme]))
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
			return []finding{c.found(stateOK, "here; it has no list of its keys", "")}
		}
		keys, err := lister.List(ctx)
		if err == nil {
			return []finding{c.found(stateOK, listed(scheme, store, keys), "")}
		}
		f := c.failed(stateWarning, err)
		if signer.IsAbsent(err) {
			f.State = stateNote // the check of the keys tells whether one is missed for it
		}
		f.Seen = strings.Replace(f.Seen, store+": ", "", 1)
		return []finding{f}
	}
	return c
}

// listed is for a store that let itself be read.
func listed(scheme, store string, keys []signer.Info) string {
	state := "here"
	if store != "" {
		state = "here and unlocked"
	}
	if len(keys) == 0 {
		return state + ", with no keys in its list"
	}
	var refs []string
	for _, k := range keys {
		refs = append(refs, scheme+":"+k.Name)
	}
	return state + ", with " + plural(len(keys), "key") + ": " + strings.Join(refs, ", ")
}
