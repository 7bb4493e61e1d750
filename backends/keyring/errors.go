package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

// An explained error says what is wrong in which store, and under which heading
// docs/keychain.md has the cure.
type explained struct{ error }

func (e explained) Unwrap() error { return e.error }

// explain returns an error of one of the contract's kinds.
func explain(kind error, s Store, heading, format string, args ...any) error {
	return explained{fmt.Errorf("%w: %s: %w (docs/keychain.md#%s)", kind, s, fmt.Errorf(format, args...), heading)}
}

// damaged is for what is there and cannot be used: of no kind, so that a search
// ends.
func damaged(s Store, heading, format string, args ...any) error {
	return explained{fmt.Errorf("%s: %w (docs/keychain.md#%s)", s, fmt.Errorf(format, args...), heading)}
}

// noAnswer is for a store that may well have the key: it must not read as "not
// found", nor pass on to another store.
func noAnswer(what, heading, format string, args ...any) error {
	return explained{timeout{fmt.Errorf("no answer: %s: %w (docs/keychain.md#%s)", what, fmt.Errorf(format, args...), heading)}}
}

type timeout struct{ error }

func (t timeout) Unwrap() []error { return []error{t.error, context.DeadlineExceeded} }

func existsError(name string) error {
	return fmt.Errorf("%w: %q is there and was left as it is: choose another name, or delete it first", signer.ErrExists, name)
}

// classify explains an error of a store. One that says nothing we know stays
// what it is.
func classify(s Store, err error) error {
	if _, done := errors.AsType[explained](err); done || err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	switch {
	case errors.Is(err, keyring.ErrKeyNotFound):
		return explained{fmt.Errorf("%w: %s", signer.ErrNotFound, s)}
	case errors.Is(err, keyring.ErrNoAvailImpl):
		return explain(signer.ErrUnavailable, s, "unavailable", "the store cannot be opened")
	}
	if known := classifyBus(s, err); known != nil {
		return known
	}
	if known := classifySystem(s, err); known != nil {
		return known
	}
	return damaged(s, "other", "%w", err)
}

// classifySystem knows what the kernel, Windows and macOS answer.
func classifySystem(s Store, err error) error {
	const errNoSuchLogonSession = syscall.Errno(1312) // Windows: ERROR_NO_SUCH_LOGON_SESSION
	text := err.Error()
	switch {
	case s == WinCred && errors.Is(err, errNoSuchLogonSession):
		return explain(signer.ErrUnavailable, s, "windows-logon", "this logon session has no credentials, as over SSH with a key or in a service: %w", err)
	case s == KeyCtl && errors.Is(err, syscall.EACCES):
		return explain(signer.ErrDenied, s, "keyctl", "the kernel does not let this session use the key")
	case s == KeyCtl && errors.Is(err, syscall.EDQUOT):
		return explain(signer.ErrDenied, s, "keyctl", "the user's quota for keys is used up: %w", err)
	case s != Keychain:
		return nil
	case strings.Contains(text, "(-128)"): // errSecUserCanceled
		return explain(signer.ErrDenied, s, "dismissed", "the prompt was dismissed")
	case strings.Contains(text, "(-25293)"): // errSecAuthFailed
		return explain(signer.ErrDenied, s, "dismissed", "the password was wrong")
	case strings.Contains(text, "(-25308)"): // errSecInteractionNotAllowed
		return explain(signer.ErrLocked, s, "locked", "the Keychain is locked and may not ask here, as over SSH: run: security unlock-keychain")
	}
	return nil
}
