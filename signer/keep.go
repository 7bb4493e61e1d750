package signer

import (
	"context"
	"sync/atomic"
)

// Keep returns a function that opens ref when first asked, once for all
// callers, and then yields the same Signer until it is stale ([Staler]); then
// it opens ref again. A failure is not kept: the next call tries anew. Each
// caller gives up when its own context ends. The function is safe for
// concurrent use.
func Keep(b Backend, ref string) func(context.Context) (Signer, error) {
	return keep(func(ctx context.Context) (Signer, error) { return b.Open(ctx, ref) })
}

func keep(open func(context.Context) (Signer, error)) func(context.Context) (Signer, error) {
	var (
		opening flight[Signer]
		kept    atomic.Pointer[Signer]
	)
	openOnce := func(ctx context.Context) (Signer, error) {
		old := kept.Load()
		if s := fresh(old); s != nil {
			return s, nil // another flight landed just before this one
		}
		s, err := open(ctx)
		if err == nil {
			kept.CompareAndSwap(old, &s) // an abandoned flight that lands late replaces nothing
		}
		return s, err
	}
	return func(ctx context.Context) (Signer, error) {
		if s := fresh(kept.Load()); s != nil {
			return s, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return opening.do(ctx, openOnce)
	}
}

// fresh returns *kept unless there is none or it is stale.
func fresh(kept *Signer) Signer {
	if kept == nil {
		return nil
	}
	if s, ok := (*kept).(Staler); ok && s.Stale() {
		return nil
	}
	return *kept
}
