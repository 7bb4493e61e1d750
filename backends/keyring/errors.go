package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A problem is an error that names the store and whose hint tells the remedy.
type problem struct {
	kind   error // one of the contract, or nil: then a search ends
	stores []Store
	cause  error
	topic  string // a heading of docs/keychain.md, or empty
	action string // empty: the usual one of the topic
}

// Error implements error.
func (p *problem) Error() string { return p.text(true) }

// Reason returns the text of the error without the name of the store, for a reader
// who knows the store.
func (p *problem) Reason() string { return p.text(false) }

func (p *problem) text(withStores bool) string {
	text := printable.Text(p.cause.Error()) // it may quote other programs
	if withStores && len(p.stores) > 0 {
		text = storeNames(p.stores) + ": " + text
	}
	if p.kind != nil {
		text = p.kind.Error() + ": " + text
	}
	return text
}

// Unwrap returns the kind and the cause.
func (p *problem) Unwrap() []error {
	if p.kind == nil {
		return []error{p.cause}
	}
	return []error{p.kind, p.cause}
}

// Hint returns the remedy to [signer.HintOf].
func (p *problem) Hint() signer.Hint {
	if p.topic == "" {
		return signer.Hint{Do: p.action}
	}
	var s Store
	if len(p.stores) > 0 {
		s = p.stores[0]
	}
	return signer.Hint{Do: cmp.Or(p.action, action(p.topic, s, desktopHere())), See: "keychain#" + p.topic}
}

// do replaces the usual action of the topic.
func (p *problem) do(action string) *problem {
	p.action = action
	return p
}

// explain returns an error of one of the contract's kinds.
func explain(kind error, s Store, topic, format string, args ...any) *problem {
	return &problem{kind: kind, stores: []Store{s}, cause: fmt.Errorf(format, args...), topic: topic}
}

// damaged returns an error of no kind: for an item that is there and cannot be
// used, and for a store that does not say whether it has the key.
func damaged(s Store, topic, format string, args ...any) *problem {
	return explain(nil, s, topic, format, args...)
}

// noAnswer returns an error for stores that may well have the key. It is not
// "not found", and a search does not go on to another store.
func noAnswer(stores []Store, topic, format string, args ...any) *problem {
	return &problem{kind: errNoAnswer, stores: stores, cause: fmt.Errorf(format, args...), topic: topic}
}

var errNoAnswer error = deadlineError("no answer")

// A deadlineError is a context.DeadlineExceeded with a text that says more.
type deadlineError string

func (e deadlineError) Error() string { return string(e) }

// Is makes errors.Is report true for context.DeadlineExceeded.
func (e deadlineError) Is(target error) bool { return target == context.DeadlineExceeded }

func existsError(name string) error {
	err := fmt.Errorf("%w: %q is there and was left as it is", signer.ErrExists, name)
	return signer.WithHint(err, signer.Hint{Do: "choose another name, or delete the key first: countersign key delete keyring:" + name})
}

// classify explains an error of a store.
func classify(s Store, err error) error {
	if _, done := errors.AsType[*problem](err); done || err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	switch {
	case errors.Is(err, keyring.ErrKeyNotFound):
		return &problem{kind: signer.ErrNotFound, stores: []Store{s}, cause: errors.New("there is no such item")}
	case errors.Is(err, keyring.ErrNoAvailImpl):
		return explain(signer.ErrUnavailable, s, "unavailable", "the store cannot be opened")
	}
	for _, known := range []*problem{classifyBus(s, err), classifySystem(s, err), classifyKeychain(s, keychainCode(err))} {
		if known != nil {
			return known
		}
	}
	return damaged(s, "other", "%w", err)
}

// classifySystem explains the errors of the kernel and of Windows.
func classifySystem(s Store, err error) *problem {
	const errNoSuchLogonSession = syscall.Errno(1312) // Windows: ERROR_NO_SUCH_LOGON_SESSION
	switch {
	case s == WinCred && errors.Is(err, errNoSuchLogonSession):
		return explain(signer.ErrUnavailable, s, "windows-logon", "this logon session has no credentials: %w", err)
	case s == KeyCtl && errors.Is(err, syscall.EACCES):
		return explain(signer.ErrDenied, s, "keyctl", "the kernel does not let this session use the key")
	case s == KeyCtl && errors.Is(err, syscall.EDQUOT):
		return explain(signer.ErrDenied, s, "keyctl", "the user's quota for keys is used up: %w", err).do("delete keys that are not needed: keyctl show @u lists them")
	}
	return nil
}

// classifyKeychain explains the codes of macOS's Security framework
// (SecBase.h).
func classifyKeychain(s Store, code int) *problem {
	const (
		errSecUserCanceled          = -128
		errSecAuthFailed            = -25293
		errSecInteractionNotAllowed = -25308
	)
	switch code {
	case errSecUserCanceled:
		return explain(signer.ErrDenied, s, "dismissed", "the prompt was dismissed")
	case errSecAuthFailed:
		return explain(signer.ErrDenied, s, "dismissed", "the password was wrong")
	case errSecInteractionNotAllowed:
		return explain(signer.ErrLocked, s, "locked", "the Keychain is locked and may not ask here, as over SSH")
	}
	return nil
}

// joinPassed returns one error for the stores that a search passed over. If any
// store works, the key is not found, and stores that are absent do not matter.
func joinPassed(passed []*problem) error {
	if len(passed) == 0 {
		return &problem{kind: signer.ErrUnavailable, cause: fmt.Errorf("the operating system has no key store on %s", runtime.GOOS), topic: "platforms"}
	}
	isNotFound := func(p *problem) bool { return errors.Is(p, signer.ErrNotFound) }
	if slices.ContainsFunc(passed, isNotFound) {
		passed = slices.DeleteFunc(slices.Clone(passed), func(p *problem) bool { return !isNotFound(p) })
	}
	merged := mergeCauses(passed)
	if len(merged) == 1 {
		return merged[0]
	}
	var causes []string
	for _, p := range merged {
		causes = append(causes, storeNames(p.stores)+": "+p.cause.Error())
	}
	first := merged[0]
	return &problem{kind: first.kind, cause: errors.New(strings.Join(causes, "; ")), topic: first.topic, action: first.action}
}

// mergeCauses makes one problem of those with the same cause, such as a missing
// bus.
func mergeCauses(problems []*problem) []*problem {
	var merged []*problem
	for _, p := range problems {
		i := slices.IndexFunc(merged, func(m *problem) bool { return m.cause.Error() == p.cause.Error() })
		if i < 0 {
			merged = append(merged, new(*p))
			continue
		}
		merged[i].stores = slices.Concat(merged[i].stores, p.stores)
	}
	return merged
}
