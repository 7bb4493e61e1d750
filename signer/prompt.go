package signer

import (
	"context"
	"errors"
)

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

// A PromptEvent tells that a store asks a person, or how that ended.
type PromptEvent struct {
	// Key is the reference of the key, if a [Mux] opened it, and otherwise the name of
	// the locked thing in its store.
	Key   string
	Store string // such as "secret-service", "kwallet", "pinentry"
	State PromptState
}

// A PromptState is the state of a prompt. Each prompt has two events: PromptOpened, and
// one of the others.
type PromptState string

// The states of a prompt.
const (
	PromptOpened    PromptState = "opened"
	PromptAllowed   PromptState = "allowed"
	PromptRefused   PromptState = "refused"
	PromptTimedOut  PromptState = "timed out" // nobody answered in time
	PromptCancelled PromptState = "cancelled" // the callers that needed the answer left
	PromptFailed    PromptState = "failed"    // the store could not ask or did not answer
)

type (
	promptFunc struct{}
	reference  struct{}
)

// WithPromptFunc returns a context whose prompts are told to fn, so that an app can show
// that another window waits for an answer. fn is called on the goroutine that prompts,
// and should return quickly. A function of ctx is called before fn.
//
// If many callers wait for one prompt, the function of the caller that came first is
// called, and is called once for each event.
//
// A store whose library does not tell when it asks has no events: the Keychain of macOS,
// pass, and an SSH agent. KWallet has events also if its wallet opens without a question.
func WithPromptFunc(ctx context.Context, fn func(PromptEvent)) context.Context {
	if outer := promptFuncOf(ctx); outer != nil {
		inner := fn
		fn = func(e PromptEvent) {
			outer(e)
			inner(e)
		}
	}
	return context.WithValue(ctx, promptFunc{}, fn)
}

func promptFuncOf(ctx context.Context) func(PromptEvent) {
	fn, _ := ctx.Value(promptFunc{}).(func(PromptEvent))
	return fn
}

// BeginPrompt tells the function of [WithPromptFunc] that a store opens a prompt. The
// backend calls it just before, and calls end with the error of the operation after the
// prompt was answered: nil means that it was allowed, ErrDenied that it was refused. The
// name is used if ctx does not come from a [Mux].
func BeginPrompt(ctx context.Context, store, name string) (end func(error)) {
	fn := promptFuncOf(ctx)
	if fn == nil {
		return func(error) {}
	}
	if ref, ok := ctx.Value(reference{}).(string); ok {
		name = ref
	}
	e := PromptEvent{name, store, PromptOpened}
	fn(e)
	return func(err error) {
		e.State = promptState(err)
		fn(e)
	}
}

func promptState(err error) PromptState {
	switch {
	case err == nil:
		return PromptAllowed
	case errors.Is(err, ErrDenied):
		return PromptRefused
	case errors.Is(err, context.Canceled):
		return PromptCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return PromptTimedOut
	}
	return PromptFailed
}

// withReference adds the reference of the key to the prompts of ctx.
func withReference(ctx context.Context, ref string) context.Context {
	if promptFuncOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, reference{}, ref)
}
