//go:build cgo

package keyring

import (
	"errors"

	gokeychain "github.com/99designs/go-keychain"
)

// keychainCode returns the OSStatus of an error of macOS's Keychain, or 0.
func keychainCode(err error) int {
	code, _ := errors.AsType[gokeychain.Error](err)
	return int(code)
}
