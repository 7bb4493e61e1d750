package vault

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A caller that waits for the login of another caller leaves when its context ends.
func TestTurnEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newTurn()
		unlock, err := held.lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := held.lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
		unlock()
		if unlock, err = held.lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		unlock()
	})
}
