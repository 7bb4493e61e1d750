package signer

import (
	"context"
	"sync"
)

// A flight shares one run of a slow function among all callers that come while it
// runs. Unlike in golang.org/x/sync/singleflight, the run goes on when the caller
// that started it leaves, and ends when the last caller leaves, so that no prompt
// stays open without a caller. The zero value is ready.
type flight[T any] struct {
	mu  sync.Mutex
	now *run[T]
}

type run[T any] struct {
	done    chan struct{} // closed after val and err are set
	val     T
	err     error
	cancel  context.CancelFunc
	waiting int // guarded by flight.mu
}

func (f *flight[T]) do(ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	r := f.join(ctx, fn)
	select {
	case <-r.done:
		return r.val, r.err
	case <-ctx.Done():
		f.leave(r)
		var none T
		return none, ctx.Err()
	}
}

func (f *flight[T]) join(ctx context.Context, fn func(context.Context) (T, error)) *run[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &run[T]{done: make(chan struct{}), cancel: cancel}
		f.now = r
		go func() {
			defer cancel()
			defer close(r.done)
			defer f.forget(r)
			r.err = errGoexit // until fn returns
			r.val, r.err = contain(func() (T, error) { return fn(ctx) })
		}()
	}
	f.now.waiting++
	return f.now
}

func (f *flight[T]) leave(r *run[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.waiting--; r.waiting == 0 {
		r.cancel()
		if f.now == r {
			f.now = nil
		}
	}
}

func (f *flight[T]) forget(r *run[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == r {
		f.now = nil
	}
}

// Await calls fn, which takes no context, and returns its result, or ctx's error
// if ctx ends first. In that case fn goes on and its result is dropped. A panic
// or a [runtime.Goexit] in fn is returned as an error. Backends use it for libraries whose calls have
// no context.
func Await[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	var alone flight[T]
	return alone.do(ctx, func(context.Context) (T, error) { return fn() })
}
