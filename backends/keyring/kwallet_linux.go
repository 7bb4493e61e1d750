package keyring

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"

	"github.com/countersign/countersign/signer"
)

const kwalletFolder = "countersign" // also the name of this program for KWallet

// A kwallet is the network wallet of KWallet 5 or 6. Both have the same
// interface (org.kde.KWallet.xml in KDE's kwallet) and the same files. Its
// entries are those of 99designs/keyring, which knows KWallet 5 only and takes a
// wallet that was not opened for an empty one.
type kwallet struct {
	ctx     context.Context // of the operation that opened it
	conn    busConn
	version kwalletVersion
	wallet  string
	handle  int32
}

type kwalletVersion struct {
	name string
	path dbus.ObjectPath
}

var (
	kwallet6 = kwalletVersion{"org.kde.kwalletd6", "/modules/kwalletd6"}
	kwallet5 = kwalletVersion{"org.kde.kwalletd5", "/modules/kwalletd5"}
)

func (b *Backend) openKWallet(ctx context.Context, p prompting) (items, error) {
	conn, err := dialBus(ctx, KWallet)
	if err != nil {
		return nil, err
	}
	k := &kwallet{ctx: ctx, conn: conn}
	if k.version, err = findKWallet(ctx, conn); err != nil {
		return nil, err
	}
	if err := startService(ctx, conn, KWallet, b.timeout(), k.version.name); err != nil {
		return nil, k.present(err)
	}
	return k, k.open(p)
}

// findKWallet returns the version that runs or that the bus can start. A running
// version comes first, and of two, the newer one.
func findKWallet(ctx context.Context, conn busConn) (kwalletVersion, error) {
	for _, list := range []string{"ListNames", "ListActivatableNames"} {
		var names []string
		if err := conn.bus(ctx, list).Store(&names); err != nil {
			return kwalletVersion{}, busError(ctx, KWallet, err)
		}
		for _, v := range []kwalletVersion{kwallet6, kwallet5} {
			if slices.Contains(names, v.name) {
				return v, nil
			}
		}
	}
	return kwalletVersion{}, explain(signer.ErrUnavailable, KWallet, "no-service", "no program on the D-Bus session bus provides it")
}

// present changes an error of KWallet 6 that means "absent": KWallet 6 is there
// and may have the key, so the search for a key must end. KWallet 5 ends in this
// way when a person has switched it off, which means that the store is not used.
func (k *kwallet) present(err error) error {
	p, ok := errors.AsType[*problem](err)
	if ok && k.version == kwallet6 && errors.Is(err, signer.ErrUnavailable) {
		return damaged(KWallet, "kwallet6", "%s is there and failed: %w", k.version.name, p.cause)
	}
	return err
}

func (k *kwallet) open(p prompting) error {
	if err := k.call("networkWallet").Store(&k.wallet); err != nil {
		return err
	}
	closed := k.isOpen()
	switch {
	case closed == nil:
		return k.openWallet()
	case p == noPrompt || !errors.Is(closed, signer.ErrLocked):
		return closed
	}
	end := signer.BeginPrompt(k.ctx, string(KWallet), k.wallet)
	err := k.openWallet()
	end(err)
	return err
}

func (k *kwallet) openWallet() error {
	if err := k.call("open", k.wallet, int64(0), kwalletFolder).Store(&k.handle); err != nil {
		return err
	}
	return k.isOpen()
}

func (k *kwallet) isOpen() error {
	var open bool
	if err := k.call("isOpen", k.wallet).Store(&open); err != nil {
		return err
	}
	if !open {
		return explain(signer.ErrLocked, KWallet, "locked", "the wallet %q is closed, or opening it was refused", k.wallet)
	}
	return nil
}

// Get treats an empty value as an absent entry. A wallet that was closed also
// gives an empty value.
func (k *kwallet) Get(key string) (keyring.Item, error) {
	var data []byte
	if err := k.call("readEntry", k.handle, kwalletFolder, key, kwalletFolder).Store(&data); err != nil {
		return keyring.Item{}, err
	}
	if len(data) == 0 {
		return keyring.Item{}, cmp.Or(k.isOpen(), keyring.ErrKeyNotFound)
	}
	var item keyring.Item
	err := json.Unmarshal(data, &item)
	return item, err
}

func (k *kwallet) Set(item keyring.Item) error {
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	return k.change("writeEntry", k.handle, kwalletFolder, item.Key, data, kwalletFolder)
}

// Remove returns keyring.ErrKeyNotFound if there is no such entry.
func (k *kwallet) Remove(key string) error {
	if _, err := k.Get(key); err != nil {
		return err
	}
	return k.change("removeEntry", k.handle, kwalletFolder, key, kwalletFolder)
}

func (k *kwallet) change(method string, args ...any) error {
	var code int32
	if err := k.call(method, args...).Store(&code); err != nil {
		return err
	}
	if code != 0 {
		return damaged(KWallet, "other", "%s failed with code %d", method, code)
	}
	return nil
}

func (k *kwallet) Keys() (keys []string, err error) {
	err = k.call("entryList", k.handle, kwalletFolder, kwalletFolder).Store(&keys)
	return keys, err
}

func (k *kwallet) call(method string, args ...any) *dbus.Call {
	call := k.conn.call(k.ctx, k.version.name, k.version.path, "org.kde.KWallet."+method, args...)
	call.Err = k.present(busError(k.ctx, KWallet, call.Err))
	return call
}
