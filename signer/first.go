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
		if end := ctx.Err(); end != nil { // a backend without time may call it "not found"
			return nil, &SearchError{fmt.Errorf("%w: %v", end, err), passed}
		}
		passed = append(passed, PassedOver{ref, err})
	}
	if len(refs) == 0 {
		return nil, &SearchError{Err: fmt.Errorf("%w: no references to try", ErrNotFound)}
	}
	return nil, &SearchError{ErrNotFound, passed}
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

// String returns the reference, and the reason in short if it is more than a missing
// key: "keyring:ollama (unavailable)". An error in the tree of Err that has a method
// "Brief() string" gives its own short reason.
func (p PassedOver) String() string {
	if b, ok := errors.AsType[interface {
		error
		Brief() string
	}](p.Err); ok {
		return p.Ref + " (" + b.Brief() + ")"
	}
	if errors.Is(p.Err, ErrUnavailable) {
		return p.Ref + " (unavailable)"
	}
	return p.Ref
}

// Error returns the text of Err and, in short, the references in Passed. Their
// errors have the details.
func (e *SearchError) Error() string {
	if len(e.Passed) == 0 {
		return e.Err.Error()
	}
	var passed []string
	for _, p := range e.Passed {
		passed = append(passed, p.String())
	}
	text := "; passed over: "
	if e.Err == ErrNotFound { // itself: no other error ended the search
		text = ": tried "
	}
	return e.Err.Error() + text + strings.Join(passed, ", ")
}

// Unwrap returns Err.
func (e *SearchError) Unwrap() error { return e.Err }
