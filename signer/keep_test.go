package signer_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/signer"
)

// A door is a backend whose every Open waits until the test answers it.
type door chan visit

type visit struct {
	ctx    context.Context
	answer chan<- answer
}

type answer struct {
	s   signer.Signer
	err error
}

func (d door) Open(ctx context.Context, _ string) (signer.Signer, error) {
	c := make(chan answer)
	d <- visit{ctx, c}
	a := <-c
	return a.s, a.err
}

// ask calls key in the background.
func ask(ctx context.Context, key func(context.Context) (signer.Signer, error)) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		s, err := key(ctx)
		c <- answer{s, err}
	}()
	return c
}

func TestKeepOpensOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		key := signer.Keep(d, "x")
		var callers []<-chan answer
		for range 64 {
			callers = append(callers, ask(t.Context(), key))
		}
		v := <-d
		synctest.Wait()
		select {
		case <-d:
			t.Error("opened twice")
		default:
		}
		v.answer <- answer{s: want}
		for _, c := range callers {
			if a := <-c; a.s != want || a.err != nil {
				t.Fatalf("got %v, %v", a.s, a.err)
			}
		}
		if s, err := key(t.Context()); s != want || err != nil {
			t.Errorf("later: got %v, %v", s, err)
		}
	})
}

func TestKeepKeepsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		key := signer.Keep(d, "x")
		one, two := ask(t.Context(), key), ask(t.Context(), key)
		v := <-d
		synctest.Wait()
		v.answer <- answer{err: signer.ErrLocked}
		for _, c := range []<-chan answer{one, two} {
			a := <-c
			wantIs(t, a.err, signer.ErrLocked)
		}
		again := ask(t.Context(), key)
		(<-d).answer <- answer{s: want}
		if a := <-again; a.s != want || a.err != nil {
			t.Errorf("got %v, %v", a.s, a.err)
		}
	})
}

func TestKeepReopensStale(t *testing.T) {
	replaced := false
	old := stale{newSigner(t), func() bool { return replaced }}
	next := newSigner(t)
	key := signer.Keep(signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
		if replaced {
			return next, nil
		}
		return old, nil
	}), "x")
	is := func(want signer.Signer) {
		t.Helper()
		s, err := key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !samePublic(s.PublicKey(), want.PublicKey()) {
			t.Error("got another key")
		}
	}
	is(old)
	is(old)
	replaced = true
	is(next)
	is(next)
}

func TestKeepOneLeavesOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		key := signer.Keep(d, "x")
		ctx, cancel := context.WithCancel(t.Context())
		first := ask(ctx, key)
		v := <-d
		second := ask(t.Context(), key)
		synctest.Wait()
		cancel()
		a := <-first
		wantIs(t, a.err, context.Canceled)
		if v.ctx.Err() != nil {
			t.Error("the opening ended with the caller who began it")
		}
		v.answer <- answer{s: want}
		if a := <-second; a.s != want || a.err != nil {
			t.Errorf("the caller who stayed got %v, %v", a.s, a.err)
		}
	})
}

func TestKeepLastOneLeavingCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		key := signer.Keep(d, "x")
		ctx, cancel := context.WithCancel(t.Context())
		one, two := ask(ctx, key), ask(ctx, key)
		abandoned := <-d
		synctest.Wait()
		cancel()
		for _, c := range []<-chan answer{one, two} {
			a := <-c
			wantIs(t, a.err, context.Canceled)
		}
		<-abandoned.ctx.Done()

		// Whoever comes next does not wait for it, nor get what it brings.
		next := ask(t.Context(), key)
		(<-d).answer <- answer{s: want}
		if a := <-next; a.s != want || a.err != nil {
			t.Errorf("got %v, %v", a.s, a.err)
		}
		abandoned.answer <- answer{s: newSigner(t)}
		synctest.Wait()
		if s, err := key(t.Context()); s != want || err != nil {
			t.Errorf("an abandoned opening replaced the key: %v, %v", s, err)
		}
	})
}

func TestKeepDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := make(door)
		key := signer.Keep(d, "x")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, second := ask(short, key), ask(t.Context(), key)
		v := <-d
		a := <-first
		wantIs(t, a.err, context.DeadlineExceeded)
		if v.ctx.Err() != nil {
			t.Error("one caller's deadline ended the opening for all")
		}
		v.answer <- answer{err: signer.ErrDenied}
		a = <-second
		wantIs(t, a.err, signer.ErrDenied)
	})
}

func TestKeepDoesNotOpenForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := newSigner(t)
		opened := 0
		key := signer.Keep(signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
			opened++
			return want, nil
		}), "x")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := key(ctx)
		synctest.Wait()
		wantIs(t, err, context.Canceled)
		if opened != 0 {
			t.Error("opened a key for a caller who was gone")
		}
		if s, err := key(t.Context()); s != want || err != nil {
			t.Errorf("got %v, %v", s, err)
		}
	})
}

// Run with -race: callers come and go while the key turns stale.
func TestKeepUnderLoad(t *testing.T) {
	var opened atomic.Int32
	key := signer.Keep(signer.OpenFunc(func(ctx context.Context, _ string) (signer.Signer, error) {
		if opened.Add(1)%3 == 0 {
			return nil, signer.ErrUnavailable
		}
		var used atomic.Int32
		return stale{newSigner(t), func() bool { return used.Add(1) > 5 }}, ctx.Err()
	}), "x")
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for j := range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%4 == 0 {
					go cancel()
				}
				s, err := key(ctx)
				cancel()
				if err == nil && s == nil {
					t.Error("got neither a key nor an error")
				}
				if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, signer.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	callers.Wait()
}
