package signer

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// A panicError tells where code panicked. It leaves out the value of the panic,
// which may hold a key, unless the value comes from the Go runtime.
type panicError struct{ text string }

func (e *panicError) Error() string { return e.text }

// errGoexit is the result of a function that ended its goroutine, as
// testing.T.FailNow does.
var errGoexit = errors.New("the function called runtime.Goexit")

// contain calls fn and returns a panic of fn as an error. A panic on a goroutine
// of this package would end the process, and no caller could recover it.
func contain[T any](fn func() (T, error)) (val T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{fmt.Sprintf("panic in %s: %s", panicOrigin(), describePanic(p))}
		}
	}()
	return fn()
}

func describePanic(p any) string {
	if e, ok := p.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("a value of type %T", p)
}

// panicOrigin returns the function and the line that panicked. A deferred
// function calls it.
func panicOrigin() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicking := false; ; {
		f, more := frames.Next()
		if panicking && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown function"
		}
	}
}
