package pluginwire

import (
	"errors"
	"strings"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const internal = "internal"

// kinds has the error of package signer for each code except "internal". The codes
// of two errors that plugins may return besides come last.
var kinds = []struct {
	code string
	err  error
}{
	{"not_found", signer.ErrNotFound},
	{"exists", signer.ErrExists},
	{"locked", signer.ErrLocked},
	{"denied", signer.ErrDenied},
	{"unavailable", signer.ErrUnavailable},
	{"unsupported", signer.ErrUnsupported},
	{"denied", signer.ErrInsecure},
	{"unsupported", signer.ErrName},
}

// NewError returns err as a plugin reports it.
func NewError(err error) *Error {
	e := &Error{Code: internal, Message: err.Error()}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			e.Code = k.code
			break
		}
	}
	if hint, ok := signer.HintOf(err); ok {
		e.Do = hint.Do
	}
	return e
}

// Err returns e as an error that wraps the error of package signer for its code.
// All its text is printable.
func (e *Error) Err() error {
	text, kind := printable.Text(e.Message), error(nil)
	for _, k := range kinds {
		if e.Code == k.code {
			kind = k.err
			break
		}
	}
	if kind != nil && !strings.HasPrefix(text, kind.Error()) {
		text = strings.TrimSuffix(kind.Error()+": "+text, ": ")
	}
	if text == "" {
		text = "the plugin failed without a reason"
	}
	return signer.WithHint(&pluginError{text, kind}, signer.Hint{Do: printable.Text(e.Do)})
}

type pluginError struct {
	text string
	kind error // nil for "internal"
}

func (e *pluginError) Error() string { return e.text }
func (e *pluginError) Unwrap() error { return e.kind }
