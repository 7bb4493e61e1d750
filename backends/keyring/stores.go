package keyring

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

// A Store is one of the operating system's key stores.
type Store string

// The stores. Pass and KeyCtl are used only if Backend.Stores names them: Pass
// may ask for a passphrase on a terminal, and KeyCtl loses its keys at a reboot.
//
// For Pass, 99designs/keyring starts the program pass itself, with the whole
// environment of the process. pass starts gpg, which may start a gpg-agent that
// stays. All of them can read the variables of the process. If a variable holds a
// key, remove the variable before the first call (env.Backend.Capture does so).
const (
	SecretService Store = "secret-service" // Linux: gnome-keyring, KeePassXC, KWallet 6
	KWallet       Store = "kwallet"        // Linux: KWallet 5 and 6
	KeyCtl        Store = "keyctl"         // Linux: the kernel's keyring of the user
	Keychain      Store = "keychain"       // macOS, in builds with cgo
	WinCred       Store = "wincred"        // Windows: the Credential Manager
	Pass          Store = "pass"           // Unix: the standard Unix password manager, over GnuPG
)

// PlatformStores returns the platform's own stores, the meaning of a nil
// Backend.Stores.
func PlatformStores() []Store { return platformStores(runtime.GOOS) }

// platformStores returns the own stores of an operating system.
func platformStores(goos string) []Store {
	switch goos {
	case "linux":
		return []Store{SecretService, KWallet}
	case "darwin":
		return []Store{Keychain}
	case "windows":
		return []Store{WinCred}
	}
	return nil
}

// checkPlatform returns an error if store s cannot exist on this operating system
// (ErrUnavailable) or was left out of this program (ErrUnsupported).
func checkPlatform(s Store, goos string, cgo bool) error {
	var on []string
	switch s {
	case SecretService, KWallet, KeyCtl:
		on = []string{"linux"}
	case Keychain:
		on = []string{"darwin"}
	case WinCred:
		on = []string{"windows"}
	case Pass:
		on = []string{"linux", "darwin", "freebsd", "openbsd", "netbsd"}
	default:
		return explain(signer.ErrUnsupported, s, "platforms", "there is no store of this name")
	}
	if !slices.Contains(on, goos) {
		return explain(signer.ErrUnavailable, s, "platforms", "this store is on %s only, not on %s", strings.Join(on, ", "), goos)
	}
	if s == Keychain && !cgo {
		return explain(signer.ErrUnsupported, s, "cgo", "this program was built without cgo, which the Keychain needs")
	}
	return nil
}

// A prompting tells whether an operation may open a prompt.
type prompting bool

const (
	noPrompt  prompting = false
	mayPrompt prompting = true
)

// search calls fn with one store after the other until fn returns nil. It goes on
// to the next store only if [signer.IsAbsent] reports true for fn's error.
func (b *Backend) search(ctx context.Context, p prompting, fn func(ring) error) error {
	return b.searchAll(ctx, p, func(r ring, err error) error {
		if err != nil {
			return err
		}
		return fn(r)
	})
}

// searchAll is a search that also calls fn for a store that could not be opened, with
// the error.
func (b *Backend) searchAll(ctx context.Context, p prompting, fn func(ring, error) error) error {
	var passed []*problem
	for _, s := range b.stores() {
		err := fn(b.open(ctx, s, p))
		absent, ok := errors.AsType[*problem](err)
		if !ok || !signer.IsAbsent(err) {
			return err
		}
		passed = append(passed, absent)
	}
	return joinPassed(b.expected(passed))
}

// listStores returns the names in all stores that are there. Unlike a search, it
// goes on after a store that failed.
func (b *Backend) listStores(ctx context.Context) (names []string, err error) {
	var absent []*problem
	var failed []error
	for _, s := range b.stores() {
		var found []string
		r, err := b.open(ctx, s, noPrompt)
		if err == nil {
			found, err = r.names()
		}
		p, ok := errors.AsType[*problem](err)
		switch {
		case err == nil:
			names = append(names, found...)
		case ok && signer.IsAbsent(err):
			absent = append(absent, p)
		default:
			failed = append(failed, err)
		}
	}
	switch {
	case len(failed) > 0:
		return names, errors.Join(failed...)
	case len(absent) == len(b.stores()):
		return nil, joinPassed(b.expected(absent))
	}
	return names, nil
}

// expected leaves out the absent stores that the program does not name and that a
// desktop like this one does not have: a user of GNOME does not look for KWallet.
func (b *Backend) expected(passed []*problem) []*problem {
	if b.Stores != nil {
		return passed
	}
	return slices.DeleteFunc(slices.Clone(passed), func(p *problem) bool {
		return errors.Is(p, signer.ErrUnavailable) && !slices.ContainsFunc(p.stores, IsExpected)
	})
}

// IsExpected reports whether the desktop in use would have s, if s is one of
// [PlatformStores]. A message about an absent store that is not expected helps nobody.
func IsExpected(s Store) bool { return s != KWallet || desktopHere() == kdeDesktop }

func (b *Backend) stores() []Store {
	if b.Stores != nil {
		return b.Stores
	}
	return platformStores(runtime.GOOS)
}

// open opens store s. Its resources, such as a D-Bus connection, end with ctx.
func (b *Backend) open(ctx context.Context, s Store, p prompting) (ring, error) {
	if err := checkPlatform(s, runtime.GOOS, cgoEnabled); err != nil {
		return ring{}, err
	}
	if !signer.MayPrompt(ctx) {
		p = noPrompt
	}
	var i items
	var err error
	switch s {
	case SecretService:
		i, err = b.openSecretService(ctx, p)
	case KWallet:
		i, err = b.openKWallet(ctx, p)
	case KeyCtl:
		i, err = openKeyCtl()
	case Keychain:
		i, err = openKeychain()
	case WinCred:
		i, err = openWinCred()
	case Pass:
		i, err = openPass()
	}
	return ring{i, s}, classify(s, err)
}

// open99 opens one store of 99designs/keyring. If it is given several stores,
// 99designs/keyring hides why it passed a store over.
func open99(s Store, cfg keyring.Config) (keyring.Keyring, error) {
	cfg.AllowedBackends = []keyring.BackendType{keyring.BackendType(s)}
	return keyring.Open(cfg)
}

// joinTexts returns the texts of errors on one line.
func joinTexts(errs []error) string {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func storeNames(stores []Store) string {
	var names []string
	for _, s := range stores {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
