//go:build !linux

package keyring

import (
	"context"

	"github.com/99designs/keyring"
)

// LibraryGet is for Linux.
func LibraryGet(context.Context, *Backend, string) error { return keyring.ErrNoAvailImpl }
