package challenge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/countersign/countersign/signer"
)

// renewalTimeout bounds an exchange in the background.
const renewalTimeout = 5 * time.Minute

// A tokenFunc gets a token from a token endpoint.
type tokenFunc func(context.Context) (Token, error)

// flights share an exchange among all callers that need the same token. The zero
// value is ready.
type flights struct {
	mu      sync.Mutex
	running map[tokenKey]*flight
}

// A flight is one running exchange.
type flight struct {
	done       chan struct{} // closed after token and err are set
	token      Token
	err        error
	cancel     context.CancelFunc
	background bool
	callers    int // that wait; guarded by flights.mu
}

// wait returns the result of the running exchange for key, or of a new one. Each
// caller leaves when its own ctx ends. The exchange, and with it a prompt, ends
// with the last caller that waits.
func (s *flights) wait(ctx context.Context, key tokenKey, run tokenFunc) (Token, error) {
	for {
		f := s.join(ctx, key, run)
		select {
		case <-f.done:
			if f.background && errors.Is(f.err, signer.ErrLocked) {
				continue // it was not allowed to prompt; an exchange with callers is
			}
			return f.token, f.err
		case <-ctx.Done():
			s.leave(key, f)
			return Token{}, ctx.Err()
		}
	}
}

// renew starts an exchange for key in the background, unless one is running.
// Nobody waits for it, so it never prompts.
func (s *flights) renew(ctx context.Context, key tokenKey, run tokenFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[key] != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewalTimeout)
	s.start(signer.WithoutPrompt(ctx), key, &flight{cancel: cancel, background: true}, run)
}

func (s *flights) join(ctx context.Context, key tokenKey, run tokenFunc) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.running[key]
	if f == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{cancel: cancel}
		s.start(ctx, key, f, run)
	}
	f.callers++
	return f
}

// start runs f. The caller holds s.mu.
func (s *flights) start(ctx context.Context, key tokenKey, f *flight, run tokenFunc) {
	f.done = make(chan struct{})
	if s.running == nil {
		s.running = map[tokenKey]*flight{}
	}
	s.running[key] = f
	go func() {
		defer f.cancel()
		f.token, f.err = withoutPanic(ctx, run)
		s.mu.Lock()
		s.remove(key, f)
		s.mu.Unlock()
		close(f.done)
	}()
}

func (s *flights) leave(key tokenKey, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.callers--; f.callers == 0 && !f.background {
		f.cancel()
		s.remove(key, f) // the next caller starts anew
	}
}

// remove forgets f. The caller holds s.mu.
func (s *flights) remove(key tokenKey, f *flight) {
	if s.running[key] == f {
		delete(s.running, key)
	}
}

// withoutPanic turns a panic of a Signer into an error: nobody could recover it in
// the goroutine of a flight, and the whole program would end. Only an error of the
// runtime is quoted. Another value may hold a secret.
func withoutPanic(ctx context.Context, run tokenFunc) (t Token, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("panic while getting a token: %w", p)
		default:
			err = fmt.Errorf("panic while getting a token, with a value of type %T", p)
		}
	}()
	return run(ctx)
}
