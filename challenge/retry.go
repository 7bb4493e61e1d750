package challenge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v7"
)

const (
	maxTries = 4

	// longestWait is how long a server may have an exchange wait for its next try.
	// It is told to the caller instead if it wants more.
	longestWait = time.Minute
)

// run makes attempts until one brings a token or an error that another attempt
// would bring too. Each has a signature of its own, so that no nonce comes
// twice.
func (x *exchange) run(ctx context.Context) (*issued, *Error) {
	try := 0
	t, err := backoff.Retry(ctx, func() (*issued, error) {
		try++
		trace := traceOf(ctx)
		trace.exchanging(x, try)
		start := x.now()
		t, e := x.attempt(ctx)
		trace.exchanged(x, try, t, e, x.now().Sub(start))
		switch {
		case e == nil:
			return t, nil
		case !e.temporary || e.after > longestWait:
			return nil, backoff.Permanent(e)
		case e.after > 0:
			return nil, backoff.RetryAfter(e.after, e)
		}
		return nil, e
	}, backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0))
	if err == nil {
		return t, nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Op: "get token", Err: err}
	}
	e.Tries = x.tries
	return nil, e
}

// retryAfter reads Retry-After in both forms (RFC 9110, section 10.2.3): seconds
// and a date, which counts from the server's own Date.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, 1<<31)) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}
