package conformance

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/signer"
)

// checkContext makes each call with a context that has ended. Each call must
// fail.
func checkContext(t TB, s *store) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()

	held, pub := s.stored(t)
	fresh := s.name(t)
	for _, ctx := range []context.Context{cancelled, expired} { // while no key is known yet
		_, err := s.open(ctx, held)
		mustEnd(t, "Open", err, ctx)
	}
	opening, opened := context.WithCancel(t.Context())
	k, err := s.open(opening, held)
	if err != nil {
		t.Fatalf("Open(%q): %v", held, err)
	}
	opened() // which must not concern the Signer

	calls := append(s.callsOfExisting(held), s.callsOfNew(fresh, NewKey(t))...)
	calls = append(calls, call{"Sign", func(ctx context.Context) error {
		_, err := s.sign(ctx, k, []byte("message"))
		return err
	}})
	if has[signer.Lister](s) {
		calls = append(calls, call{"List", func(ctx context.Context) error {
			_, err := s.list(ctx)
			return err
		}})
	}

	before := s.snapshot(t)
	for _, ctx := range []context.Context{cancelled, expired} {
		for _, c := range calls {
			mustEnd(t, c.op, c.run(ctx), ctx)
		}
	}
	s.unchanged(t, before, "a call whose context had ended")
	s.signs(t, k, pub, []byte("message"))
	s.holds(t, held, pub)
	_, err = s.open(t.Context(), fresh)
	mustBe(t, "Open of what an ended context kept from being made", err, signer.ErrNotFound)
}

func mustEnd(t TB, op string, err error, ctx context.Context) {
	t.Helper()
	if !errors.Is(err, ctx.Err()) {
		t.Errorf("%s: got error %v, want one that wraps %q", op, err, ctx.Err())
	}
}
