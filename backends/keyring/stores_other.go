//go:build !linux

package keyring

import (
	"context"

	"github.com/99designs/keyring"
)

// These stores exist on Linux only, and checkPlatform refuses them elsewhere, so
// no call reaches these functions. They are here because the D-Bus library that
// 99designs/keyring pins does not compile on FreeBSD, NetBSD and wasm.

func (b *Backend) openSecretService(context.Context, prompting) (items, error) {
	return nil, keyring.ErrNoAvailImpl
}

func (b *Backend) openKWallet(context.Context, prompting) (items, error) {
	return nil, keyring.ErrNoAvailImpl
}

func openKeyCtl() (items, error) { return nil, keyring.ErrNoAvailImpl }

func classifyBus(Store, error) *problem { return nil }
