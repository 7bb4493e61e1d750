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

// explain returns an error of the given kind that says what is wrong in store s
// and under which heading docs/keychain.md has the cure.
func explain(kind error, s Store, heading, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s (docs/keychain.md#%s)", kind, s, fmt.Sprintf(format, args...), heading)
}

func existsError(name string) error {
	return fmt.Errorf("%w: %q is there and was left as it is: choose another name, or delete it first", signer.ErrExists, name)
}

// A timeout is for a store that may well have the key: it must not read as "not
// found", nor pass on to another store.
type timeout struct{ error }

func (t timeout) Unwrap() []error { return []error{t.error, context.DeadlineExceeded} }

func noAnswer(s Store, heading, format string, args ...any) error {
	return timeout{fmt.Errorf("no answer: %s: %s (docs/keychain.md#%s)", s, fmt.Sprintf(format, args...), heading)}
}

// classify gives an error of a store its kind. One that has a kind already, or
// that says nothing we know, stays what it is.
func classify(s Store, err error) error {
	switch {
	case err == nil || hasKind(err):
		return err
	case errors.Is(err, keyring.ErrKeyNotFound):
		return fmt.Errorf("%w: %s", signer.ErrNotFound, s)
	case errors.Is(err, keyring.ErrNoAvailImpl):
		return explain(signer.ErrUnavailable, s, "unavailable", "the store cannot be opened")
	}
	if known := classifyBus(s, err); known != nil {
		return known
	}
	if known := classifySystem(s, err); known != nil {
		return known
	}
	return fmt.Errorf("%s: %w (docs/keychain.md#other)", s, err)
}

func hasKind(err error) bool {
	for _, kind := range []error{
		signer.ErrNotFound, signer.ErrExists, signer.ErrUnavailable, signer.ErrLocked, signer.ErrDenied,
		signer.ErrUnsupported, context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// classifySystem knows what the kernel, Windows and macOS answer.
func classifySystem(s Store, err error) error {
	const errNoSuchLogonSession = syscall.Errno(1312) // Windows: ERROR_NO_SUCH_LOGON_SESSION
	text := err.Error()
	switch {
	case s == WinCred && errors.Is(err, errNoSuchLogonSession):
		return explain(signer.ErrUnavailable, s, "windows-logon", "this logon session has no credentials, as over SSH with a key or in a service: %v", err)
	case s == KeyCtl && errors.Is(err, syscall.EACCES):
		return explain(signer.ErrDenied, s, "keyctl-session", "this session is not linked to the user's keyring: run: keyctl link @u @s")
	case s == KeyCtl && (errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM)):
		return explain(signer.ErrUnavailable, s, "keyctl-session", "the kernel or the container's seccomp profile forbids it: %v", err)
	case s == KeyCtl && errors.Is(err, syscall.EDQUOT):
		return explain(signer.ErrDenied, s, "keyctl-session", "the quota for keys is used up: %v", err)
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
