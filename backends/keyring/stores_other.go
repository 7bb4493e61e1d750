//go:build !linux

package keyring

import (
	"context"

	"github.com/99designs/keyring"
)

// These stores are Linux's, and checkPlatform lets nobody get here elsewhere. The
// D-Bus library that 99designs/keyring pins does not compile on FreeBSD, NetBSD
// and wasm, so only _linux.go files import it.

func (b *Backend) openSecretService(context.Context, prompting) (items, error) {
	return nil, keyring.ErrNoAvailImpl
}

func (b *Backend) openKWallet(context.Context, prompting) (items, error) {
	return nil, keyring.ErrNoAvailImpl
}

func openKeyCtl() (items, error) { return nil, keyring.ErrNoAvailImpl }

func classifyBus(Store, error) *problem { return nil }
