package signer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// First opens the first of refs whose key is there. It goes on to the next
// reference only if [IsAbsent] reports true. A key that is locked, denied,
// insecure, damaged or timed out ends the search, so that First never uses a
// weaker store unasked.
//
// The error is of type *[SearchError]. It wraps the error that ended the
// search, or ErrNotFound if no key is there.
func First(ctx context.Context, b Backend, refs ...string) (Signer, error) {
	var passed []PassedOver
	for _, ref := range refs {
		s, err := b.Open(ctx, ref)
		if err == nil {
			return s, nil
		}
		if !IsAbsent(err) {
			return nil, &SearchError{err, passed}
		}
		passed = append(passed, PassedOver{ref, err})
		if err := ctx.Err(); err != nil {
			return nil, &SearchError{err, passed} // a backend without time may call it "not found"
		}
	}
	return nil, &SearchError{notFoundAmong(len(refs)), passed}
}

func notFoundAmong(refs int) error {
	switch refs {
	case 0:
		return fmt.Errorf("%w: no references to try", ErrNotFound)
	case 1:
		return fmt.Errorf("%w: tried 1 reference", ErrNotFound)
	}
	return fmt.Errorf("%w: tried %d references", ErrNotFound, refs)
}

// IsAbsent reports whether err says that the key is not there: ErrNotFound or
// ErrUnavailable. It is the only rule for a search that goes on to another key.
// It reports false if a context or a time limit ended, because a store that did
// not answer in time may have the key.
func IsAbsent(err error) bool {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded} {
		if errors.Is(err, end) {
			return false
		}
	}
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable)
}

// A SearchError is the error of [First].
//
// It does not unwrap to the errors in Passed: a caller that tests for
// ErrNotFound must not take a locked key for an absent key.
type SearchError struct {
	Err    error        // ended the search; ErrNotFound if no key is there
	Passed []PassedOver // in the order of the references
}

// PassedOver is a reference whose key is not there.
type PassedOver struct {
	Ref string
	Err error // why
}

// Error returns the text of Err and one line for each reference in Passed.
func (e *SearchError) Error() string {
	var b strings.Builder
	b.WriteString(e.Err.Error())
	for _, p := range e.Passed {
		b.WriteString("\n  passed over: " + p.Err.Error())
	}
	return b.String()
}

// Unwrap returns Err.
func (e *SearchError) Unwrap() error { return e.Err }
