package agentserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"time"
)

// A lock is the lock of ssh-add -x. The zero value is open.
type lock struct {
	mu       sync.Mutex
	locked   bool
	digest   [sha256.Size]byte // of the passphrase
	failures int
	turn     chan struct{} // is full while a call of unlock tries: one at a time
}

func (l *lock) isLocked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.locked
}

func (l *lock) lock(passphrase []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locked {
		return errors.New("the agent is locked already")
	}
	l.locked, l.digest, l.failures = true, sha256.Sum256(passphrase), 0
	return nil
}

// takeTurn waits until no other call of unlock tries. The caller must call done.
func (l *lock) takeTurn(ctx context.Context) (done func(), err error) {
	l.mu.Lock()
	if l.turn == nil {
		l.turn = make(chan struct{}, 1)
	}
	l.mu.Unlock()
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// unlock opens the lock with the passphrase that closed it. Each wrong one makes the
// next try slower, as in OpenSSH's agent: 0.1 s for each failure, 10 s at most.
func (l *lock) unlock(ctx context.Context, passphrase []byte) error {
	done, err := l.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	l.mu.Lock()
	delay := time.Duration(min(l.failures, 100)) * 100 * time.Millisecond
	l.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	digest := sha256.Sum256(passphrase)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.locked {
		return errors.New("the agent is not locked")
	}
	if subtle.ConstantTimeCompare(digest[:], l.digest[:]) == 0 {
		l.failures++
		return errors.New("the passphrase is wrong")
	}
	l.locked = false
	return nil
}
