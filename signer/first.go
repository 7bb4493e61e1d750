package signer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// First opens the first of refs whose key is there. Only ErrNotFound and
// ErrUnavailable pass on to the next; a key that is locked, denied, insecure,
// damaged or timed out ends the search, so that a weaker store is never used
// unasked.
//
// The error wraps what ended the search, or ErrNotFound if no key is there, and
// its text lists every reference tried with the reason.
func First(ctx context.Context, b Backend, refs ...string) (Signer, error) {
	if len(refs) == 0 {
		return nil, fmt.Errorf("%w: no references to try", ErrNotFound)
	}
	var passed []error
	for _, ref := range refs {
		s, err := b.Open(ctx, ref)
		if err == nil {
			return s, nil
		}
		if !passOver(err) {
			return nil, &searchError{err, passed}
		}
		passed = append(passed, err)
		if err := ctx.Err(); err != nil {
			return nil, &searchError{err, passed} // whatever a backend without time left called it
		}
	}
	return nil, &searchError{fmt.Errorf("%w under any of %d references", ErrNotFound, len(refs)), passed}
}

// passOver reports whether err says that the key is not there. A store that
// gave no answer in time may well have the key.
func passOver(err error) bool {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded} {
		if errors.Is(err, end) {
			return false
		}
	}
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable)
}

// A searchError does not unwrap to the errors that were passed over: a caller
// who tests for ErrNotFound must not take a locked key for an absent one.
type searchError struct {
	end    error
	passed []error
}

func (e *searchError) Error() string {
	var b strings.Builder
	b.WriteString(e.end.Error())
	for _, err := range e.passed {
		b.WriteString("\n  passed over: " + err.Error())
	}
	return b.String()
}

func (e *searchError) Unwrap() error { return e.end }
