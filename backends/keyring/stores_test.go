package keyring

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

func TestCheckPlatform(t *testing.T) {
	tests := []struct {
		store Store
		goos  string
		cgo   bool
		is    error // nil: the store can be used
		text  string
	}{
		{SecretService, "linux", false, nil, ""},
		{KWallet, "linux", false, nil, ""},
		{KeyCtl, "linux", false, nil, ""},
		{Pass, "linux", false, nil, ""},
		{Pass, "darwin", false, nil, ""},
		{Pass, "freebsd", false, nil, ""},
		{Keychain, "darwin", true, nil, ""},
		{WinCred, "windows", false, nil, ""},
		{Keychain, "darwin", false, signer.ErrUnsupported, "built without cgo"},
		{Keychain, "linux", true, signer.ErrUnavailable, "on darwin only, not on linux"},
		{WinCred, "linux", true, signer.ErrUnavailable, "on windows only"},
		{SecretService, "freebsd", true, signer.ErrUnavailable, "on linux only"},
		{Pass, "windows", true, signer.ErrUnavailable, "not on windows"},
		{"file", "linux", true, signer.ErrUnsupported, "no store of this name"},
		{"", "linux", true, signer.ErrUnsupported, "no store of this name"},
	}
	for _, tt := range tests {
		err := checkPlatform(tt.store, tt.goos, tt.cgo)
		if tt.is == nil && err == nil {
			continue
		}
		if tt.is == nil || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("checkPlatform(%q, %s, cgo %v) = %v, want %v %q", tt.store, tt.goos, tt.cgo, err, tt.is, tt.text)
		}
	}
}

func TestPlatformStores(t *testing.T) {
	want := map[string][]Store{
		"linux":   {SecretService, KWallet},
		"darwin":  {Keychain},
		"windows": {WinCred},
		"freebsd": nil, "openbsd": nil, "netbsd": nil, "js": nil,
	}
	for goos, want := range want {
		if got := platformStores(goos); !slices.Equal(got, want) {
			t.Errorf("platformStores(%s) = %q, want %q", goos, got, want)
		}
		for _, s := range want {
			if err := checkPlatform(s, goos, true); err != nil {
				t.Errorf("a store of %s: %v", goos, err)
			}
		}
	}
}

func TestNoStores(t *testing.T) {
	b := &Backend{Stores: []Store{}}
	_, err := b.Open(t.Context(), "key")
	if !errors.Is(err, signer.ErrUnavailable) || !strings.Contains(err.Error(), "the operating system has no key store") {
		t.Errorf("Open: got error %v, want ErrUnavailable", err)
	}
}

// If one store works, the key is not found, and absent stores do not matter. The
// text has each cause once.
func TestJoinPassed(t *testing.T) {
	absent := func(s Store) *problem {
		return &problem{kind: signer.ErrNotFound, cause: fmt.Errorf("%s has no item", s)}
	}
	gone := func(s Store, cause string) *problem {
		return explain(signer.ErrUnavailable, s, "no-bus", "%s", cause)
	}
	tests := []struct {
		passed []*problem
		want   string
	}{
		{[]*problem{absent(SecretService)}, "key not found: secret-service has no item"},
		{[]*problem{gone(KWallet, "no bus")}, "key store unavailable: kwallet: no bus"},
		{[]*problem{absent(SecretService), gone(KWallet, "no bus")}, "key not found: secret-service has no item"},
		{[]*problem{gone(SecretService, "no bus"), absent(KWallet)}, "key not found: kwallet has no item"},
		{[]*problem{gone(SecretService, "no bus"), gone(KWallet, "no bus")}, "key store unavailable: secret-service, kwallet: no bus"},
		{[]*problem{gone(SecretService, "no bus"), gone(Pass, "no store")}, "key store unavailable: secret-service: no bus; pass: no store"},
	}
	for _, tt := range tests {
		err := joinPassed(tt.passed)
		if err.Error() != tt.want {
			t.Errorf("joinPassed: got %q, want %q", err, tt.want)
		}
		for _, kind := range []error{signer.ErrNotFound, signer.ErrUnavailable} {
			if errors.Is(err, kind) != strings.HasPrefix(tt.want, kind.Error()) {
				t.Errorf("%v: errors.Is %v is %v", err, kind, errors.Is(err, kind))
			}
		}
	}
}

func TestClassify(t *testing.T) {
	tests := []struct {
		store Store
		err   error
		want  error // nil: none of the kinds
	}{
		{Keychain, keyring.ErrKeyNotFound, signer.ErrNotFound},
		{WinCred, keyring.ErrNoAvailImpl, signer.ErrUnavailable},
		{WinCred, fmt.Errorf("writing: %w", syscall.Errno(1312)), signer.ErrUnavailable},
		{KeyCtl, syscall.EACCES, signer.ErrDenied},
		{KeyCtl, syscall.EDQUOT, signer.ErrDenied},
		{Keychain, errors.New("anything else (-1)"), nil},
		{Pass, errors.New("exit status 1"), nil},
		{SecretService, syscall.EACCES, nil},
	}
	for _, tt := range tests {
		err := classify(tt.store, tt.err)
		for _, kind := range []error{signer.ErrNotFound, signer.ErrUnavailable, signer.ErrDenied, signer.ErrLocked} {
			if errors.Is(err, kind) != (kind == tt.want) {
				t.Errorf("classify(%s, %v) = %v, want %v alone", tt.store, tt.err, err, tt.want)
			}
		}
		if !strings.Contains(err.Error(), string(tt.store)) {
			t.Errorf("classify(%s, %v) = %v, which does not name the store", tt.store, tt.err, err)
		}
		if again := classify(Pass, err); again != err {
			t.Errorf("classify explains twice: %v", again)
		}
	}
}

func TestClassifyKeychain(t *testing.T) {
	for code, want := range map[int]error{-128: signer.ErrDenied, -25293: signer.ErrDenied, -25308: signer.ErrLocked} {
		if p := classifyKeychain(Keychain, code); p == nil || !errors.Is(p, want) {
			t.Errorf("code %d: got %v, want %v", code, p, want)
		}
	}
	for _, code := range []int{0, -1} {
		if p := classifyKeychain(Keychain, code); p != nil {
			t.Errorf("code %d: got %v, want nothing", code, p)
		}
	}
}

// macKeychain answers as 99designs/keyring does on macOS.
type macKeychain struct {
	keyring.Keyring
	handsOut bool
	listErr  error
}

func (k macKeychain) Get(key string) (keyring.Item, error) {
	if !k.handsOut {
		return keyring.Item{}, keyring.ErrKeyNotFound
	}
	return k.Keyring.Get(key)
}

func (k macKeychain) Keys() ([]string, error) {
	if k.listErr != nil {
		return nil, k.listErr
	}
	return k.Keyring.Keys()
}

func TestKeychainLockedIsNotAbsent(t *testing.T) {
	items := keyring.NewArrayKeyring([]keyring.Item{{Key: "key", Data: []byte("data")}})
	tests := []struct {
		name string
		k    macKeychain
		key  string
		want error
	}{
		{"unlocked", macKeychain{items, true, nil}, "key", nil},
		{"locked or declined", macKeychain{items, false, nil}, "key", signer.ErrLocked},
		{"absent", macKeychain{items, true, nil}, "other", signer.ErrNotFound},
		{"locked and silent", macKeychain{items, false, explain(signer.ErrLocked, Keychain, "locked", "it may not ask")}, "key", signer.ErrLocked},
	}
	for _, tt := range tests {
		_, err := ring{keychain{tt.k}, Keychain}.get(tt.key)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestWinCredRefusesWhatWindowsCannotHold(t *testing.T) {
	r := ring{winCred{keyring.NewArrayKeyring(nil)}, WinCred}
	if err := r.write(keyring.Item{Key: "fits", Data: make([]byte, maxBlob)}); err != nil {
		t.Errorf("%d bytes: %v", maxBlob, err)
	}
	err := r.write(keyring.Item{Key: "large", Data: make([]byte, maxBlob+1)})
	if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "2561 bytes") {
		t.Errorf("%d bytes: got error %v, want ErrUnsupported", maxBlob+1, err)
	}
	if _, err := r.get("large"); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("the large item is there: %v", err)
	}
}

// A liar reports success and does nothing.
type liar struct{ keyring.Keyring }

func (liar) Set(keyring.Item) error { return nil }
func (liar) Remove(string) error    { return nil }

func TestSuccessIsChecked(t *testing.T) {
	old := keyring.Item{Key: "key", Data: []byte("old")}
	r := ring{liar{keyring.NewArrayKeyring([]keyring.Item{old})}, WinCred}
	for what, err := range map[string]error{
		"write of another value": r.write(keyring.Item{Key: "key", Data: []byte("new")}),
		"write of a new item":    r.write(keyring.Item{Key: "new", Data: []byte("new")}),
		"remove":                 r.remove("key"),
	} {
		if err == nil {
			t.Errorf("%s: the store's word was taken", what)
		}
	}
}
