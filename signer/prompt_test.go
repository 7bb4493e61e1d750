package signer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// events collects prompts. It is safe for concurrent use.
type events struct {
	mu  sync.Mutex
	all []signer.PromptEvent
}

func (e *events) add(event signer.PromptEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// prompting is a backend that prompts at each Open and Sign, with the answer err.
func prompting(err error) signer.Backend {
	return signer.OpenFunc(func(ctx context.Context, name string) (signer.Signer, error) {
		end := signer.BeginPrompt(ctx, "store", name)
		end(err)
		return promptingKey{err}, err
	})
}

type promptingKey struct{ err error }

func (promptingKey) PublicKey() ssh.PublicKey { return nil }

func (k promptingKey) Sign(ctx context.Context, _ []byte) (*ssh.Signature, error) {
	signer.BeginPrompt(ctx, "store", "name")(k.err)
	return nil, k.err
}

func TestPromptEvents(t *testing.T) {
	for want, err := range map[signer.PromptState]error{
		signer.PromptAllowed:   nil,
		signer.PromptRefused:   fmt.Errorf("%w: no", signer.ErrDenied),
		signer.PromptTimedOut:  fmt.Errorf("%w: %w", signer.ErrLocked, context.DeadlineExceeded),
		signer.PromptCancelled: context.Canceled,
		signer.PromptFailed:    errors.New("there is no display"),
	} {
		var got events
		ctx := signer.WithPromptFunc(t.Context(), got.add)
		_, _ = prompting(err).Open(ctx, "name")
		s, _ := signer.Mux{"store": prompting(err)}.Open(ctx, "store:key")
		var through []signer.PromptEvent
		for _, key := range []string{"name", "store:key"} {
			through = append(through, signer.PromptEvent{Key: key, Store: "store", State: signer.PromptOpened}, signer.PromptEvent{Key: key, Store: "store", State: want})
		}
		if s != nil {
			_, _ = s.Sign(ctx, nil)
			through = append(through, through[2:]...)
		}
		if diff := cmp.Diff(through, got.all); diff != "" {
			t.Errorf("%v:\n%s", err, diff)
		}
	}
}

func TestPromptFuncsAreAllCalled(t *testing.T) {
	var outer, inner events
	ctx := signer.WithPromptFunc(signer.WithPromptFunc(t.Context(), outer.add), inner.add)
	signer.BeginPrompt(ctx, "store", "name")(nil)
	if diff := cmp.Diff(outer.all, inner.all); diff != "" || len(inner.all) != 2 {
		t.Errorf("%v\n%s", inner.all, diff)
	}
	signer.BeginPrompt(t.Context(), "store", "name")(nil) // without a function
}
