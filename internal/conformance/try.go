package conformance

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// A Result is the result of one check.
type Result struct {
	Skipped  string   // why the check does not apply; "" if it ran
	Failures []string // the mistakes of the backend, without the name of the check
}

// Try runs c outside of a Go test. It returns after c has ended, and ctx is the
// context of all its calls. A panic is a failure.
func (c Check) Try(ctx context.Context, s Store) Result {
	r := &recorder{ctx: ctx}
	r.protect(func() { c.Run(r, s) })
	for _, clean := range slices.Backward(r.cleanups) {
		r.protect(clean)
	}
	if len(r.failures) > 0 {
		r.skipped = ""
	}
	return Result{r.skipped, r.failures}
}

// A recorder is a TB that keeps the failures of a check.
type recorder struct {
	ctx      context.Context
	cleanups []func()
	skipped  string

	mu       sync.Mutex
	failures []string
}

// protect runs f on a goroutine of its own, because f may end it.
func (r *recorder) protect(f func()) {
	var done sync.WaitGroup
	done.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %T", p) // the value may hold a key
			}
		}()
		f()
	})
	done.Wait()
}

func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Helper()                  {}

func (r *recorder) Error(args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprint(args...))
}

func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

func (r *recorder) Skip(args ...any) {
	r.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) { r.Skip(fmt.Sprintf(format, args...)) }

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}
