package keyring

import (
	"context"
	"time"

	"github.com/countersign/countersign/signer"
)

const (
	defaultTimeout = 3 * time.Second

	// maxHanging limits the abandoned calls of a Backend. Each has a goroutine,
	// and may have an open dialog.
	maxHanging = 4

	// grace is the time that a call has, after the end of its context, to return
	// an error with the cause.
	grace = 250 * time.Millisecond
)

type result[T any] struct {
	val T
	err error
}

// run calls fn and returns when fn returns, when ctx ends or when b's time is up.
// It does not wait longer for fn, because 99designs/keyring takes no context.
func run[T any](ctx context.Context, b *Backend, fn func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	limit := b.limit()
	limited, cancel := context.WithTimeout(ctx, limit)
	slot := b.slot()
	select {
	case slot <- struct{}{}:
	case <-limited.Done():
		cancel()
		if err := ctx.Err(); err != nil {
			return none, err
		}
		return none, noAnswer(b.stores(), "hanging", "%d earlier calls still hang", maxHanging)
	}
	done := make(chan result[T], 1)
	go func() {
		defer cancel()
		defer func() { <-slot }()
		// Await returns a panic as an error. It waits for fn, because this context
		// never ends.
		val, err := signer.Await(context.WithoutCancel(limited), func() (T, error) { return fn(limited) })
		done <- result[T]{val, err}
	}()
	timeUp := time.NewTimer(limit + grace)
	defer timeUp.Stop()
	select {
	case r := <-done:
		return r.val, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-timeUp.C:
		return none, noAnswer(b.stores(), "no-answer", "nothing came within %v", limit)
	}
}

func (b *Backend) timeout() time.Duration {
	if b.Timeout > 0 {
		return b.Timeout
	}
	return defaultTimeout
}

func (b *Backend) limit() time.Duration { return b.timeout() + max(b.PromptTimeout, 0) }

func (b *Backend) slot() chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slots == nil {
		b.slots = make(chan struct{}, maxHanging)
	}
	return b.slots
}
