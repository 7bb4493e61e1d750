package keyring_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer/signertest"
)

const kwalletd6 = "org.kde.kwalletd6"

// connect returns a connection to the bus that ends with the test.
func connect(t testing.TB, s *secretservice.Session) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Dial(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.Auth(nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.Hello(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// fakeKWallet has the methods of org.kde.KWallet as KWallet 6 exports them: no
// Debian release that the tests run on has its package.
type fakeKWallet struct {
	opens bool // a person lets the wallet be opened

	mu      sync.Mutex
	open    bool
	entries map[string][]byte
}

const fakeHandle = 7

func (k *fakeKWallet) NetworkWallet() (string, *dbus.Error) { return "kdewallet", nil }

func (k *fakeKWallet) IsOpen(wallet string) (bool, *dbus.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open && wallet == "kdewallet", nil
}

func (k *fakeKWallet) Open(wallet string, window int64, app string) (int32, *dbus.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open = k.opens; !k.open {
		return -1, nil
	}
	return fakeHandle, nil
}

// entry runs fn if the arguments name a folder of the open wallet.
func (k *fakeKWallet) entry(handle int32, folder string, fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open && handle == fakeHandle && folder == "countersign" {
		fn()
	}
}

func (k *fakeKWallet) ReadEntry(handle int32, folder, key, app string) (data []byte, _ *dbus.Error) {
	k.entry(handle, folder, func() { data = k.entries[key] })
	return data, nil
}

func (k *fakeKWallet) WriteEntry(handle int32, folder, key string, data []byte, app string) (int32, *dbus.Error) {
	code := int32(-1)
	k.entry(handle, folder, func() { k.entries[key], code = data, 0 })
	return code, nil
}

func (k *fakeKWallet) RemoveEntry(handle int32, folder, key, app string) (int32, *dbus.Error) {
	code := int32(-1)
	k.entry(handle, folder, func() { delete(k.entries, key); code = 0 })
	return code, nil
}

func (k *fakeKWallet) EntryList(handle int32, folder, app string) (keys []string, _ *dbus.Error) {
	k.entry(handle, folder, func() { keys = slices.Collect(maps.Keys(k.entries)) })
	return keys, nil
}

// provide gives the fake the name of KWallet 6. Without a fake, nothing but the
// name is there.
func provide(t testing.TB, s *secretservice.Session, k *fakeKWallet) {
	t.Helper()
	conn := connect(t, s)
	if k != nil {
		k.entries = map[string][]byte{}
		names := map[string]string{}
		for _, name := range []string{"networkWallet", "isOpen", "open", "readEntry", "writeEntry", "removeEntry", "entryList"} {
			names[strings.ToUpper(name[:1])+name[1:]] = name
		}
		if err := conn.ExportWithMap(k, names, "/modules/kwalletd6", "org.kde.KWallet"); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName(kwalletd6, 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName: %v, %v", reply, err)
	}
}

func startKWallet6(t testing.TB) *secretservice.Session {
	s := secretservice.StartBus(t)
	provide(t, s, &fakeKWallet{opens: true})
	return s
}

func TestKWallet6(t *testing.T) {
	if !secretservice.Rerun(t, startKWallet6) {
		return
	}
	signertest.Run(t, func(*testing.T) signertest.Store {
		// The platform's stores: no Secret Service is there, as on Plasma 6.
		return signertest.Store{Backend: &keyring.Backend{Timeout: patience}, BadNames: badNames}
	})
}

// A KWallet 6 that fails may have the key: no other store is asked.
func TestKWallet6EndsTheSearch(t *testing.T) {
	tests := []struct {
		name  string
		start func(*testing.T, *secretservice.Session)
		kinds []string
		text  string
	}{
		{"has no key", func(t *testing.T, s *secretservice.Session) { provide(t, s, &fakeKWallet{opens: true}) }, []string{"ErrNotFound"}, "kwallet has no item"},
		{"is not opened", func(t *testing.T, s *secretservice.Session) { provide(t, s, &fakeKWallet{}) }, []string{"ErrLocked"}, "is closed, or opening it was refused"},
		{"has another interface", func(t *testing.T, s *secretservice.Session) { provide(t, s, nil) }, nil, "org.freedesktop.DBus.Error"},
		{"does not start", func(t *testing.T, s *secretservice.Session) { s.AddService(kwalletd6, "/bin/false") }, nil, "is there and failed"},
		{"is not installed properly", func(t *testing.T, s *secretservice.Session) { s.AddService(kwalletd6, "/nonexistent") }, nil, "is there and failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := secretservice.StartBus(t)
			tt.start(t, s)
			r := openIn(t, s.Env(), settings{Timeout: patience})
			t.Log(r.Error)
			if !slices.Equal(r.Kinds, tt.kinds) || !strings.Contains(r.Error, tt.text) {
				t.Errorf("got error %v %q, want %v %q", r.Kinds, r.Error, tt.kinds, tt.text)
			}
		})
	}
}
