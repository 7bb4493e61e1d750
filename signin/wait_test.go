package signin_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// waitAfter makes the registry answer once as fault does, and then as for an unknown
// key. It returns the times until the next request that Wait told.
func waitAfter(t *testing.T, status int, header ...string) (told []time.Duration, err error) {
	t.Helper()
	r := startRegistry(t)
	r.Fail(challengetest.API, 1, challengetest.Reply(status, "", header...))
	c := newClient(t, r)
	key := ensureKey(t, c)
	_, err = c.Wait(t.Context(), key, func(p signin.Progress) {
		if told = append(told, p.Next); len(told) == 2 {
			press(t, r, c, key)
		}
	})
	return told, err
}

func TestWaitRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		value  func() string
		want   time.Duration
	}{
		"429 and seconds": {http.StatusTooManyRequests, func() string { return "40" }, 40 * time.Second},
		"503 and seconds": {http.StatusServiceUnavailable, func() string { return "7200" }, 2 * time.Hour},
		"429 and a date": {http.StatusTooManyRequests, func() string {
			return time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
		}, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told, err := waitAfter(t, test.status, "Retry-After", test.value())
				if err != nil || len(told) != 2 || told[0] != test.want || told[1] > 10*time.Second {
					t.Errorf("told %v, %v; want %v first", told, err, test.want)
				}
			})
		})
	}
}

func TestWaitEndsAtFailureOfFirstRequest(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusNotFound, http.StatusFound, http.StatusForbidden} {
		if told, err := waitAfter(t, status); err == nil || len(told) > 0 {
			t.Errorf("%d: told %v, %v", status, told, err)
		}
	}
}

func hangUp(http.Handler) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

func TestWaitForgivesLaterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegistry(t)
		c := newClient(t, r)
		key := ensureKey(t, c)
		var told []bool
		account, err := c.Wait(t.Context(), key, func(p signin.Progress) {
			told = append(told, errors.Is(p.Err, signin.ErrNotConnected))
			if len(told) == 1 {
				r.Fail(challengetest.API, 1, challengetest.Reply(http.StatusBadGateway, ""))
				r.Fail(challengetest.API, 1, hangUp)
				r.Fail(challengetest.API, 1, challengetest.Cut)
			}
			if len(told) == 4 {
				press(t, r, c, key)
			}
		})
		if diff := cmp.Diff([]bool{true, false, false, false}, told); err != nil || account.Name != "challengetest" || diff != "" {
			t.Errorf("%+v, %v\n%s", account, err, diff)
		}
	})
}

func TestWaitOfConnectedKey(t *testing.T) {
	r := startRegistry(t)
	c := newClient(t, r)
	key := ensureKey(t, c)
	press(t, r, c, key)
	account, err := c.Wait(t.Context(), key, func(p signin.Progress) { t.Errorf("told %+v", p) })
	if err != nil || account.Name != "challengetest" {
		t.Errorf("%+v, %v", account, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegistry(t)
		c := newClient(t, r)
		key := ensureKey(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Wait(ctx, key, nil)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, signin.ErrNotConnected) {
			t.Errorf("got %v", err)
		}
	})
}

// A key that is replaced while Wait asks is not the key that the server would accept.
func TestWaitNoticesAnotherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegistry(t)
		c := newClient(t, r)
		key := ensureKey(t, c)
		path := strings.TrimPrefix(c.Key, "file:")
		account, err := c.Wait(t.Context(), key, func(signin.Progress) {
			press(t, r, c, key)
			if err := errors.Join(os.Remove(path), os.Remove(path+".pub")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.EnsureKey(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if !errors.Is(err, signin.ErrKeyChanged) {
			t.Errorf("got %+v, %v", account, err)
		}
		if key, err := c.OpenKey(t.Context()); err != nil || signer.IsStale(key) {
			t.Errorf("the next key: %v", err)
		}
	})
}
