package doctor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/signer"
)

// A storeCheck lists the keys of one store.
type storeCheck struct {
	scheme  string
	store   string // of the keychain, or the name of a plugin; "" for other backends
	backend signer.Backend
	hidden  bool // no finding tells that the store is not on this machine
}

// storeChecks returns the checks of all backends, sorted by scheme.
func (m *Machine) storeChecks() []Check {
	var checks []Check
	mux := m.Backends.Mux()
	for _, scheme := range slices.Sorted(maps.Keys(mux)) {
		switch scheme {
		case "keyring":
			checks = append(checks, keychainChecks(scheme, m.Backends.Keyring)...)
			continue
		case "plugin":
			checks = append(checks, pluginChecks(scheme, m.Backends.Plugin)...)
			continue
		}
		checks = append(checks, storeCheck{scheme, "", mux[scheme], false})
	}
	return checks
}

// keychainChecks returns a check for each store of the keychain. In one check for
// all, the error of a store would hide the others.
func keychainChecks(scheme string, k *keyring.Backend) []Check {
	stores, named := k.Stores, true
	if stores == nil {
		stores, named = keyring.PlatformStores(), false
	}
	if len(stores) == 0 {
		return []Check{storeCheck{scheme, "", k, false}}
	}
	var checks []Check
	for _, s := range stores {
		one := &keyring.Backend{Stores: []keyring.Store{s}, Timeout: k.Timeout}
		checks = append(checks, storeCheck{scheme, string(s), one, !named && !keyring.IsExpected(s)})
	}
	return checks
}

// pluginChecks returns a check for each plugin that is installed.
func pluginChecks(scheme string, b *plugin.Backend) []Check {
	var checks []Check
	for _, f := range b.Find() {
		checks = append(checks, storeCheck{scheme, f.Name, onePlugin{b, f.Name}, false})
	}
	return checks
}

// onePlugin lists the keys of one plugin.
type onePlugin struct {
	*plugin.Backend
	name string
}

func (p onePlugin) List(ctx context.Context) ([]signer.Info, error) { return p.ListOf(ctx, p.name) }

func (c storeCheck) Subject() Subject { return Subject{c.scheme, c.store} }

func (c storeCheck) Run(ctx context.Context) []Finding {
	s := c.Subject()
	lister, ok := c.backend.(signer.Lister)
	if !ok {
		return []Finding{s.found(OK, "here; it has no list of its keys", "")}
	}
	keys, err := lister.List(ctx)
	switch {
	case err == nil:
		return []Finding{s.found(OK, c.listed(keys), "")}
	case errors.Is(err, signer.ErrUnsupported):
		return []Finding{s.found(OK, "here; it has no list of its keys", "")}
	case signer.IsAbsent(err) && c.hidden:
		return nil
	case signer.IsAbsent(err):
		return []Finding{s.found(Note, reason(err), remedy.Of(err))} // the check of the keys tells whether it matters
	}
	return []Finding{s.found(Warning, reason(err), remedy.Of(err))}
}

// reason returns the text of an error without the name of the store, which stands
// beside it.
func reason(err error) string {
	if e, ok := errors.AsType[interface {
		error
		Reason() string
	}](err); ok {
		return e.Reason()
	}
	return err.Error()
}

// listed describes a store that has listed its keys.
func (c storeCheck) listed(keys []signer.Info) string {
	state := "here"
	if c.scheme == "keyring" && c.store != "" {
		state = "here and unlocked"
	}
	if len(keys) == 0 {
		return state + ", with no keys in its list"
	}
	var refs []string
	for _, k := range keys {
		refs = append(refs, c.scheme+":"+k.Name)
	}
	return state + ", with " + plural(len(keys), "key") + ": " + strings.Join(refs, ", ")
}
