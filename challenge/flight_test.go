package challenge_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// A prompter is a key that asks a person at each signature.
type prompter struct {
	mu     sync.Mutex
	open   int // prompts that nobody has answered yet
	asked  int
	answer chan struct{} // closed when the person allows it
}

func (p *prompter) count(opened int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += opened
	p.asked += max(opened, 0)
}

func (p *prompter) state() (open, asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.asked
}

func (p *prompter) key(key signer.Signer) signer.Signer {
	return signer.Func(key.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		if !signer.MayPrompt(ctx) {
			return nil, signer.ErrLocked
		}
		p.count(1)
		defer p.count(-1)
		select {
		case <-p.answer:
			return key.Sign(ctx, msg)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
}

func TestPromptEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		p := &prompter{answer: make(chan struct{})}
		v.key = p.key(v.key)
		var all sync.WaitGroup
		call := func() context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			all.Go(func() {
				if _, err := v.get(ctx, manifest); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want Canceled", err)
				}
			})
			synctest.Wait()
			return cancel
		}
		first, second := call(), call()
		first()
		synctest.Wait()
		if open, asked := p.state(); open != 1 || asked != 1 {
			t.Errorf("%d of %d prompts are open for the caller that still waits, want 1 of 1", open, asked)
		}
		second()
		synctest.Wait()
		if open, _ := p.state(); open != 0 {
			t.Errorf("%d prompts are open and nobody waits", open)
		}
		all.Wait()
		close(p.answer)
		v.mustGet(t, manifest) // a new prompt
		if open, asked := p.state(); open != 0 || asked != 2 {
			t.Errorf("%d of %d prompts are open at the end, want 0 of 2", open, asked)
		}
	})
}

func TestDeadlineEndsAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		p := &prompter{}
		v.key = p.key(v.key)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		_, err := v.get(ctx, manifest)
		synctest.Wait()
		if open, _ := p.state(); open != 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second {
			t.Errorf("after %v: %d prompts are open, error %v", time.Since(start), open, err)
		}
	})
}

// TestRenewalNeverPrompts opens a key with a passphrase for each request, as a program
// without signer.Keeper does.
func TestRenewalNeverPrompts(t *testing.T) {
	pem, err := os.ReadFile("../signer/testdata/id_ed25519_locked")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true, TTL: 5 * time.Minute})
		var mu sync.Mutex
		prompts := 0
		v.client.Key = func(ctx context.Context, _ challenge.Origin) (signer.Signer, error) {
			return signer.Parse(ctx, pem, func(context.Context, string) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				prompts++
				return []byte("correct horse"), nil
			})
		}
		v.mustGet(t, manifest)
		time.Sleep(4*time.Minute + 10*time.Second) // time to renew the token
		for range 3 {
			v.mustGet(t, manifest)
			synctest.Wait()
		}
		if prompts != 1 {
			t.Errorf("%d prompts in the background", prompts-1)
		}
		time.Sleep(time.Minute) // the token has expired
		v.mustGet(t, manifest)
		if prompts != 2 {
			t.Errorf("%d prompts for two exchanges, want 2", prompts)
		}
	})
}

// TestCallerJoinsARenewal: the renewal may not prompt, and a caller that waits for it
// may.
func TestCallerJoinsARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true, TTL: 5 * time.Minute})
		v.mustGet(t, manifest)
		key, slow := v.key, make(chan struct{})
		v.key = signer.Func(key.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
			if !signer.MayPrompt(ctx) {
				<-slow
				return nil, signer.ErrLocked
			}
			return key.Sign(ctx, msg)
		})
		time.Sleep(4*time.Minute + 10*time.Second)
		v.mustGet(t, manifest) // starts the renewal
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		all.Go(func() { v.mustGetAtOnce(t, 16) })
		synctest.Wait() // they wait for the renewal
		close(slow)
		all.Wait()
		if n := v.Stats().Exchanges; n != 2 {
			t.Errorf("%d exchanges, want 2", n)
		}
	})
}

// TestRenewalOutlivesItsCaller: the request that started it may end, and a request that
// waits for it too.
func TestRenewalOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true, TTL: 5 * time.Minute})
		v.mustGet(t, manifest)
		release := make(chan struct{})
		v.Fail(challengetest.Tokens, 1, challengetest.Hold(nil, release))
		time.Sleep(4*time.Minute + 35*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := v.get(ctx, manifest); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		time.Sleep(20 * time.Second) // the first token is no longer used
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.get(ctx, manifest); !errors.Is(err, context.DeadlineExceeded) { // joins and leaves
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
		close(release)
		synctest.Wait()
		v.mustGet(t, manifest)
		if s := v.Stats(); s.Exchanges != 2 || s.Challenges != 1 {
			t.Errorf("%d exchanges and %d challenges, want 2 and 1", s.Exchanges, s.Challenges)
		}
	})
}

// TestGoexitOfASigner: testing.T.FailNow in a Signer ends the goroutine and must not let
// the callers wait for ever.
func TestGoexitOfASigner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		key := v.key
		v.key = signer.Func(key.PublicKey(), func(context.Context, []byte) (*ssh.Signature, error) {
			runtime.Goexit()
			return nil, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := v.get(ctx, manifest); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want one about Goexit", err)
		}
		v.key = key
		v.mustGet(t, manifest) // the next exchange starts
	})
}

func TestPanicOfASigner(t *testing.T) {
	v := visit(t, challengetest.Config{})
	var none []byte
	for _, value := range []func(){
		func() { _ = none[7] },
		func() { panic("SECRET") },
	} {
		key := v.key
		v.key = signer.Func(key.PublicKey(), func(context.Context, []byte) (*ssh.Signature, error) {
			value()
			return nil, nil
		})
		_, err := v.get(t.Context(), manifest)
		if err == nil || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("error %v", err)
		}
		v.key = key
	}
	v.mustGet(t, manifest) // the next exchange starts
}
