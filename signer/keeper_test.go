package signer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
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

// ask opens the key "x" in the background.
func ask(ctx context.Context, keys *signer.Keeper) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		s, err := keys.Open(ctx, "x")
		if s != nil {
			s = unwrap(s)
		}
		c <- answer{s, err}
	}()
	return c
}

// unwrap returns the Signer that the backend of a Keeper returned.
func unwrap(s signer.Signer) signer.Signer { return s.(interface{ Unwrap() signer.Signer }).Unwrap() }

func TestKeeperOpensOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		keys := &signer.Keeper{Backend: d}
		var callers []<-chan answer
		for range 64 {
			callers = append(callers, ask(t.Context(), keys))
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
		if a := <-ask(t.Context(), keys); a.s != want || a.err != nil {
			t.Errorf("later: got %v, %v", a.s, a.err)
		}
	})
}

func TestKeeperKeepsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		keys := &signer.Keeper{Backend: d}
		one, two := ask(t.Context(), keys), ask(t.Context(), keys)
		v := <-d
		synctest.Wait()
		v.answer <- answer{err: signer.ErrLocked}
		for _, c := range []<-chan answer{one, two} {
			a := <-c
			wantIs(t, a.err, signer.ErrLocked)
		}
		again := ask(t.Context(), keys)
		(<-d).answer <- answer{s: want}
		if a := <-again; a.s != want || a.err != nil {
			t.Errorf("got %v, %v", a.s, a.err)
		}
	})
}

func TestKeeperReopensStale(t *testing.T) {
	replaced := false
	old := stale{newSigner(t), func() bool { return replaced }}
	next := newSigner(t)
	keys := &signer.Keeper{Backend: signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
		if replaced {
			return next, nil
		}
		return old, nil
	})}
	is := func(want signer.Signer) {
		t.Helper()
		s, err := keys.Open(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		if !signer.SameKey(s.PublicKey(), want.PublicKey()) {
			t.Error("got another key")
		}
	}
	is(old)
	is(old)
	replaced = true
	is(next)
	is(next)
}

func TestKeeperOneLeavesOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		keys := &signer.Keeper{Backend: d}
		ctx, cancel := context.WithCancel(t.Context())
		first := ask(ctx, keys)
		v := <-d
		second := ask(t.Context(), keys)
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

func TestKeeperLastOneLeavingCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, want := make(door), newSigner(t)
		keys := &signer.Keeper{Backend: d}
		ctx, cancel := context.WithCancel(t.Context())
		one, two := ask(ctx, keys), ask(ctx, keys)
		abandoned := <-d
		synctest.Wait()
		cancel()
		for _, c := range []<-chan answer{one, two} {
			a := <-c
			wantIs(t, a.err, context.Canceled)
		}
		<-abandoned.ctx.Done()

		// The next caller does not wait for the abandoned call and does not get its key.
		next := ask(t.Context(), keys)
		(<-d).answer <- answer{s: want}
		if a := <-next; a.s != want || a.err != nil {
			t.Errorf("got %v, %v", a.s, a.err)
		}
		abandoned.answer <- answer{s: newSigner(t)}
		synctest.Wait()
		if a := <-ask(t.Context(), keys); a.s != want || a.err != nil {
			t.Errorf("an abandoned opening replaced the key: %v, %v", a.s, a.err)
		}
	})
}

func TestKeeperDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := make(door)
		keys := &signer.Keeper{Backend: d}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, second := ask(short, keys), ask(t.Context(), keys)
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

func TestKeeperDoesNotOpenAfterTheContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := newSigner(t)
		opened := 0
		keys := &signer.Keeper{Backend: signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
			opened++
			return want, nil
		})}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := keys.Open(ctx, "x")
		synctest.Wait()
		wantIs(t, err, context.Canceled)
		if opened != 0 {
			t.Error("opened a key for a caller whose context had ended")
		}
		if a := <-ask(t.Context(), keys); a.s != want || a.err != nil {
			t.Errorf("got %v, %v", a.s, a.err)
		}
	})
}

// Run with -race: callers come and go while the key turns stale.
func TestKeeperUnderLoad(t *testing.T) {
	var opened atomic.Int32
	keys := &signer.Keeper{Backend: signer.OpenFunc(func(ctx context.Context, _ string) (signer.Signer, error) {
		if opened.Add(1)%3 == 0 {
			return nil, signer.ErrUnavailable
		}
		var used atomic.Int32
		return stale{newSigner(t), func() bool { return used.Add(1) > 5 }}, ctx.Err()
	})}
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for j := range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%4 == 0 {
					go cancel()
				}
				s, err := keys.Open(ctx, "x")
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

func TestKeeperConforms(t *testing.T) {
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{Backend: &signer.Keeper{Backend: new(signertest.Memory)}}
	})
}

// neverStale is a store whose signers do not notice that their key was deleted.
type neverStale struct{ *signertest.Memory }

func (b neverStale) Open(ctx context.Context, name string) (signer.Signer, error) {
	key, err := b.Export(ctx, name)
	if err != nil {
		return nil, err
	}
	return signer.New(key)
}

// A key that is deleted and made again through the same Keeper signs as the new
// key, also in a program that opened it through a second Keeper.
func TestKeeperForgets(t *testing.T) {
	ctx := t.Context()
	makeKey := map[string]func(*signer.Keeper) error{
		"Generate": func(k *signer.Keeper) error { _, err := k.Generate(ctx, "x"); return err },
		"Import":   func(k *signer.Keeper) error { return k.Import(ctx, "x", signertest.NewKey(t)) },
	}
	for name, make := range makeKey {
		t.Run(name, func(t *testing.T) {
			store := neverStale{new(signertest.Memory)}
			keys := &signer.Keeper{Backend: store}
			program := &signer.Keeper{Backend: signer.Mux{"mem": keys}}
			if err := make(keys); err != nil {
				t.Fatal(err)
			}
			old, err := program.Open(ctx, "mem:x")
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.Delete(ctx, "x"); err != nil {
				t.Fatal(err)
			}
			_, err = program.Open(ctx, "mem:x")
			wantIs(t, err, signer.ErrNotFound)
			if err := make(keys); err != nil {
				t.Fatal(err)
			}
			now, err := program.Open(ctx, "mem:x")
			if err != nil {
				t.Fatal(err)
			}
			want, err := store.Open(ctx, "x")
			if err != nil {
				t.Fatal(err)
			}
			if !signer.SameKey(now.PublicKey(), want.PublicKey()) {
				t.Error("the deleted key is still in use")
			}
			checkSign(t, now, ssh.KeyAlgoED25519)
			checkSign(t, old, ssh.KeyAlgoED25519) // it is one key for life
		})
	}
}

// A key that is deleted while it is opened is not kept.
func TestKeeperForgetsWhileItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, old, want := make(door), newSigner(t), newSigner(t)
		keys := &signer.Keeper{Backend: struct {
			signer.Backend
			signer.Deleter
		}{d, new(signertest.Memory)}}
		first := ask(t.Context(), keys)
		v := <-d
		wantIs(t, keys.Delete(t.Context(), "x"), signer.ErrNotFound)
		v.answer <- answer{s: old}
		<-first
		second := ask(t.Context(), keys)
		(<-d).answer <- answer{s: want}
		if a := <-second; a.s != want || a.err != nil {
			t.Errorf("got %v, %v, want the key after Delete", a.s, a.err)
		}
	})
}

func TestKeeperLacksAbilities(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		keys *signer.Keeper
		want error
	}{
		{&signer.Keeper{Backend: fails(signer.ErrNotFound)}, signer.ErrUnsupported},
		{new(signer.Keeper), nil},
	} {
		_, errGenerate := tt.keys.Generate(ctx, "x")
		_, errExport := tt.keys.Export(ctx, "x")
		_, errList := tt.keys.List(ctx)
		for _, err := range []error{
			errGenerate, errExport, errList, tt.keys.Import(ctx, "x", signertest.NewKey(t)), tt.keys.Delete(ctx, "x"),
		} {
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
		}
	}
	if _, err := new(signer.Keeper).Open(ctx, "x"); err == nil || !strings.Contains(err.Error(), "Backend") {
		t.Errorf("Open without a Backend: %v, want an error that names the field", err)
	}
}

func TestKeeperPrintsTheReference(t *testing.T) {
	one := holds(newSigner(t))
	for ref, b := range map[string]signer.Backend{"mem:x": signer.Mux{"mem": one}, "x": one} {
		s, err := (&signer.Keeper{Backend: b}).Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s); got != ref {
			t.Errorf("the signer prints as %q, want %s", got, ref)
		}
	}
}
