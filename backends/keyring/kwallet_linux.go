package keyring

import (
	"context"
	"errors"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"

	"github.com/countersign/countersign/signer"
)

const (
	kwalletName   = "org.kde.kwalletd5"
	kwalletPath   = "/modules/kwalletd5"
	kwalletMethod = "org.kde.KWallet."
)

// kwallet asks KWallet whether the wallet is open: 99designs/keyring takes a
// wallet that was not opened for an empty one.
type kwallet struct {
	keyring.Keyring
	isOpen func() error
}

func (b *Backend) openKWallet(ctx context.Context, p prompting) (keyring.Keyring, error) {
	conn, err := dialBus(ctx, KWallet)
	if err != nil {
		return nil, err
	}
	if err := startService(ctx, conn, KWallet, b.timeout(), kwalletName); err != nil {
		return nil, err
	}
	daemon := conn.Object(kwalletName, kwalletPath)
	var wallet string
	if err := daemon.CallWithContext(ctx, kwalletMethod+"networkWallet", 0).Store(&wallet); err != nil {
		return nil, busError(ctx, KWallet, err)
	}
	isOpen := func() error { return kwalletIsOpen(ctx, daemon, wallet) }
	if p == noPrompt {
		if err := isOpen(); err != nil {
			return nil, err
		}
	}
	k, err := openOnBus(KWallet, keyring.Config{ServiceName: wallet, KWalletAppID: "countersign", KWalletFolder: "countersign"})
	if err != nil {
		return nil, err
	}
	return kwallet{k, isOpen}, isOpen()
}

func kwalletIsOpen(ctx context.Context, daemon dbus.BusObject, wallet string) error {
	var open bool
	if err := daemon.CallWithContext(ctx, kwalletMethod+"isOpen", 0, wallet).Store(&open); err != nil {
		return busError(ctx, KWallet, err)
	}
	if !open {
		return explain(signer.ErrLocked, KWallet, "locked", "the wallet %q is closed, or opening it was refused", wallet)
	}
	return nil
}

func (k kwallet) Get(key string) (keyring.Item, error) {
	item, err := k.Keyring.Get(key)
	if errors.Is(err, keyring.ErrKeyNotFound) {
		if err := k.isOpen(); err != nil {
			return keyring.Item{}, err
		}
	}
	return item, err
}

// Remove says when there is nothing to remove.
func (k kwallet) Remove(key string) error {
	if _, err := k.Get(key); err != nil {
		return err
	}
	return k.Keyring.Remove(key)
}
