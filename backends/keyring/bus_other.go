//go:build !linux

package keyring

import (
	"context"

	"github.com/99designs/keyring"
)

// The stores on D-Bus are Linux's: checkPlatform lets nobody get here. The D-Bus
// library that 99designs/keyring pins does not compile on FreeBSD, NetBSD and
// wasm, so nothing outside _linux.go files imports it.

func (b *Backend) openSecretService(context.Context, prompting) (keyring.Keyring, error) {
	return nil, keyring.ErrNoAvailImpl
}

func (b *Backend) openKWallet(context.Context, prompting) (keyring.Keyring, error) {
	return nil, keyring.ErrNoAvailImpl
}

func classifyBus(Store, error) error { return nil }
