package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/signer"
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

// A server that hangs keeps a caller without a deadline for ten seconds.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Backend{Address: "https://vault.example.com", Token: func() string { return "x" }}
		c, err := b.newClient()
		if err != nil {
			t.Fatal(err)
		}
		c.do = func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		start := time.Now()
		_, err = c.readKey(context.Background(), "key")
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("it took %v", waited)
		}
		if !errors.Is(err, context.DeadlineExceeded) || signer.IsAbsent(err) || !strings.Contains(err.Error(), "longer than 10s") {
			t.Errorf("got %v", err)
		}
	})
}
