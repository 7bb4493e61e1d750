package signin

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v7"

	"github.com/countersign/countersign/signer"
)

// Progress tells how waiting goes on.
type Progress struct {
	Err  error         // the answer to the last request: ErrNotConnected, or a failure that may pass
	Next time.Duration // until the next request
}

// Wait asks the server every few seconds until it accepts key, and returns the account.
// After each answer that is not the last it calls progress, which may be nil and should
// return quickly. If progress was never called, key was connected already.
//
// A server that sends Retry-After with the status 429 or 503 is asked again after that
// time. Any other failure of the first request is returned. After a server has answered
// once, Wait forgives failures that may pass, such as a lost connection.
//
// Wait gives up when ctx ends. The error then wraps ctx's and that of the last request.
// Other errors: those of Account, and ErrKeyChanged.
func (c *Client) Wait(ctx context.Context, key signer.Signer, progress func(Progress)) (Account, error) {
	answered := false
	var last error
	ask := func() (Account, error) {
		if c.isChanged(ctx, key) {
			return Account{}, backoff.Permanent(ErrKeyChanged)
		}
		account, err := c.Account(ctx, key)
		if ctx.Err() == nil {
			last = err
		}
		reply, ok := errors.AsType[*replyError](err)
		switch {
		case err == nil:
		case !ok || !reply.temporary:
			err = backoff.Permanent(err)
		case reply.after > 0:
			err = backoff.RetryAfter(reply.after, err)
		case !answered && !errors.Is(err, ErrNotConnected):
			err = backoff.Permanent(err)
		}
		return account, err
	}
	again := func(_ error, next time.Duration) {
		answered = true
		if progress != nil {
			progress(Progress{last, next})
		}
	}
	account, err := backoff.Retry(ctx, ask, backoff.WithBackOff(pollInterval()), backoff.WithNotify(again), backoff.WithMaxElapsedTime(0))
	switch {
	case err == nil:
		return account, nil
	case ctx.Err() != nil && last != nil:
		return Account{}, &waitError{ctx.Err(), last}
	}
	return Account{}, backoff.AsRetryError(err).LastErr
}

// isChanged reports whether key was replaced or deleted. A key that was locked since it
// was opened still signs.
func (c *Client) isChanged(ctx context.Context, key signer.Signer) bool {
	if !signer.IsStale(key) {
		return false
	}
	now, err := c.OpenKey(signer.WithoutPrompt(ctx))
	if err != nil {
		return !errors.Is(err, signer.ErrLocked)
	}
	return !signer.SameKey(now.PublicKey(), key.PublicKey())
}

// ErrKeyChanged: the key that Wait waits for was replaced or deleted.
var ErrKeyChanged = errors.New("the key was replaced or deleted while the server was asked")

// A waitError tells why waiting ended and how the server answered last.
type waitError struct{ end, last error }

func (e *waitError) Error() string {
	return "stopped waiting: " + e.end.Error() + ": " + e.last.Error()
}

func (e *waitError) Unwrap() []error { return []error{e.end, e.last} }

// pollInterval grows, because a person often has to sign in before the key can be added.
func pollInterval() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 2 * time.Second, Multiplier: 1.1, MaxInterval: 10 * time.Second}
}
