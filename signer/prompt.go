package signer

import "context"

type withoutPrompt struct{}

// WithoutPrompt returns a context for work in the background, where no person
// waits for the result. A Signer or Backend that would have to ask a person
// returns ErrLocked instead.
func WithoutPrompt(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutPrompt{}, true)
}

// MayPrompt reports whether a person may be asked to unlock a key or to allow a
// signature: true unless ctx comes from [WithoutPrompt].
func MayPrompt(ctx context.Context) bool {
	return ctx.Value(withoutPrompt{}) == nil
}
