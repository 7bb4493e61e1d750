package signer

import (
	"errors"
	"strings"
)

// Errors that backends wrap. Test for them with [errors.Is].
var (
	// ErrNotFound: the store works and has no key of that name.
	ErrNotFound = errors.New("key not found")

	// ErrExists: a key of that name is there and was left as it is.
	ErrExists = errors.New("key already exists")

	// ErrUnavailable: the store is not on this machine, or not running.
	ErrUnavailable = errors.New("key store unavailable")

	// ErrLocked: the key is there, and a person must unlock it first.
	ErrLocked = errors.New("key is locked")

	// ErrDenied: the user or the store refused, or the passphrase is wrong.
	ErrDenied = errors.New("access to key denied")

	// ErrInsecure: other users can read or replace the key.
	ErrInsecure = errors.New("key is not protected")

	// ErrUnsupported: this store or kind of key cannot do that, now or ever.
	ErrUnsupported = errors.New("not supported")

	// ErrName: no key can have this name. The name is not repeated in the
	// error: a shell may have put the key itself in its place.
	ErrName = errors.New("malformed key name")
)

// An Error names the operation and the key that failed, as [io/fs.PathError]
// does for files. It never holds a secret.
type Error struct {
	Op  string // "open", "sign", "generate", ...
	Ref string // "scheme:name"; only "scheme:" if the name is malformed
	Err error
}

func (e *Error) Error() string {
	text := e.Op
	if e.Ref != "" {
		text += " " + strings.TrimSuffix(e.Ref, ":")
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
