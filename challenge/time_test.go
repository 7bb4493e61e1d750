package challenge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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

// In these tests the clock is testing/synctest's, and the network is memory.

func TestTokenIsRenewedWhileItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true, TTL: 5 * time.Minute})
		v.mustGet(t, manifest)
		release := make(chan struct{})
		v.Fail(challengetest.Tokens, 1, challengetest.Hold(nil, release))
		time.Sleep(4*time.Minute + 10*time.Second)
		v.mustGet(t, manifest) // while the exchange is held: nobody waits for it
		v.mustGet(t, manifest)
		close(release)
		synctest.Wait()
		if s := v.Stats(); s.Exchanges != 2 || s.Challenges != 1 {
			t.Errorf("%d exchanges and %d challenges, want 2 and 1", s.Exchanges, s.Challenges)
		}
		time.Sleep(2 * time.Minute) // the first token has expired
		v.mustGet(t, manifest)
		if s := v.Stats(); s.Exchanges != 2 || s.Challenges != 1 {
			t.Errorf("later: %d exchanges and %d challenges, want 2 and 1", s.Exchanges, s.Challenges)
		}
	})
}

func TestFailedRenewalIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true, TTL: 5 * time.Minute})
		v.mustGet(t, manifest)
		time.Sleep(4*time.Minute + 10*time.Second)
		v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(403, ""))
		for range 20 {
			v.mustGet(t, manifest)
			synctest.Wait()
		}
		if n := v.Stats().Exchanges; n != 2 {
			t.Errorf("%d exchanges, want one renewal", n-1)
		}
	})
}

func TestRealmThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		v.Fail(challengetest.Tokens, 1, challengetest.Hold(nil, nil))
		start := time.Now()
		v.mustGetAtOnce(t, 16)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// TestKnowledgeThatIsOutOfDate has a token endpoint move: what was known of it
// costs a 401 and no error.
func TestKnowledgeThatIsOutOfDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		v.mustGet(t, manifest)
		time.Sleep(time.Hour) // its token has expired
		v.Fail(challengetest.Tokens, 1, challengetest.Reply(404, ""))
		v.mustGet(t, manifest)
		if n := v.Stats().Challenges; n != 2 {
			t.Errorf("%d challenges, want one more", n-1)
		}
	})
}

func TestExpiredTokenCostsOneExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		v.mustGet(t, manifest)
		time.Sleep(time.Hour)
		v.mustGetAtOnce(t, 64)
		if s := v.Stats(); s.Exchanges != 2 || s.Challenges != 1 {
			t.Errorf("%d exchanges and %d challenges, want 2 and 1", s.Exchanges, s.Challenges)
		}
	})
}

func TestManyCallersAndBlobsAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layers := make([]string, 64)
		for i := range layers {
			layers[i] = fmt.Sprintf("layer %d", i)
		}
		v := visit(t, challengetest.Config{InMemory: true}, layers...)
		v.mustGet(t, manifest)
		time.Sleep(time.Hour)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for _, digest := range v.layers {
					v.mustGet(t, blob(digest))
				}
			})
		}
		all.Wait()
		if s := v.Stats(); s.Exchanges != 2 || s.Challenges != 1 {
			t.Errorf("%d exchanges and %d challenges, want 2 and 1", s.Exchanges, s.Challenges)
		}
	})
}

func TestContextEndsWaitToRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(503, "", "Retry-After", "50"))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := v.get(ctx, manifest)
		if took := time.Since(start); took != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, err)
		}
		time.Sleep(time.Hour) // what goes on unheard ends too
	})
}

func TestContextEndsOneCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		release := make(chan struct{})
		v.Fail(challengetest.Tokens, 1, challengetest.Hold(nil, release))
		ctx, cancel := context.WithCancel(t.Context())
		var leader sync.WaitGroup
		leader.Go(func() {
			if _, err := v.get(ctx, manifest); !errors.Is(err, context.Canceled) {
				t.Errorf("the caller who gave up: %v, want Canceled", err)
			}
		})
		synctest.Wait() // its exchange is held
		var others sync.WaitGroup
		others.Go(func() { v.mustGetAtOnce(t, 15) })
		others.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := v.get(ctx, manifest); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a caller with a deadline of its own: %v, want DeadlineExceeded", err)
			}
		})
		synctest.Wait()
		cancel()
		leader.Wait()
		time.Sleep(2 * time.Second) // past that deadline
		close(release)
		others.Wait()
		if n := v.Stats().Exchanges; n != 1 {
			t.Errorf("%d exchanges, want 1", n)
		}
	})
}

func TestRetry(t *testing.T) {
	const callers = 16
	soon := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	tests := []struct {
		name     string
		fault    func() challengetest.Fault
		min, max time.Duration
	}{
		{"503", func() challengetest.Fault { return challengetest.Reply(503, "") }, 0, 2 * time.Second},
		{"connection cut", func() challengetest.Fault { return challengetest.Cut }, 0, 2 * time.Second},
		{"429 with seconds", func() challengetest.Fault { return challengetest.Reply(429, "", "Retry-After", "7") }, 7 * time.Second, 8 * time.Second},
		{"503 with an HTML page", func() challengetest.Fault { return challengetest.Reply(503, "<!DOCTYPE html><title>closed</title>") }, 0, 2 * time.Second},
		{"429 with the longest wait", func() challengetest.Fault { return challengetest.Reply(429, "", "Retry-After", "60") }, time.Minute, 61 * time.Second},
		{"503 with a date", func() challengetest.Fault { return challengetest.Reply(503, "", "Retry-After", soon(20*time.Second)) }, 19 * time.Second, 21 * time.Second},
		{"a date that is past", func() challengetest.Fault { return challengetest.Reply(503, "", "Retry-After", soon(-time.Hour)) }, 0, 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := visit(t, challengetest.Config{InMemory: true})
				v.Fail(challengetest.Tokens, 1, tt.fault())
				start := time.Now()
				v.mustGetAtOnce(t, callers)
				if took := time.Since(start); took < tt.min || took > tt.max {
					t.Errorf("waited %v, want %v to %v", took, tt.min, tt.max)
				}
				if n := v.Stats().Exchanges; n != 2 {
					t.Errorf("%d exchanges, want 2", n)
				}
				if n := v.signatures.Load(); n != 2 {
					t.Errorf("%d signatures, want one for each try", n)
				}
			})
		})
	}
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(503, `{"error":"closed"}`))
		_, err := v.get(t.Context(), manifest)
		var e *challenge.Error
		if !errors.As(err, &e) || e.Status != 503 || e.Server != "closed" || e.Tries != v.Stats().Exchanges || e.Tries < 2 {
			t.Errorf("after %d exchanges: %+v", v.Stats().Exchanges, e)
		}
		v.Heal()
		v.mustGet(t, manifest) // a failure is not remembered
	})
}

// TestRetryAfterIsLong: the caller is told at once, and the realm gets no more requests.
func TestRetryAfterIsLong(t *testing.T) {
	for value, says := range map[string]string{
		"86400":                         "24h0m0s",
		"18446744073709551615":          "596523h14m8s",
		"18446744073709551616":          "596523h14m8s", // one more than a uint64 holds
		"99999999999999999999999999999": "596523h14m8s",
		"Fri, 31 Dec 9999 23:59:59 GMT": "2562047h",
	} {
		t.Run(value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := visit(t, challengetest.Config{InMemory: true})
				v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(503, "", "Retry-After", value))
				start := time.Now()
				_, err := v.get(t.Context(), manifest)
				if err == nil || !strings.Contains(err.Error(), "the server asks to wait "+says) || time.Since(start) > time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if n := v.Stats().Exchanges; n != 1 {
					t.Errorf("%d exchanges, want 1", n)
				}
			})
		})
	}
}

func TestClocksThatDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{-2 * time.Hour, -time.Minute, time.Minute, 2 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := visit(t, challengetest.Config{InMemory: true})
				v.client.Now = func() time.Time { return time.Now().Add(-ahead) } // the registry is ahead of us
				for range 5 {
					v.mustGet(t, manifest)
				}
				want := 1
				if ahead.Abs() > time.Hour {
					want = 2 // the first ts was refused
				}
				if s := v.Stats(); s.Exchanges != want || s.Tokens != 1 {
					t.Errorf("%d exchanges and %d tokens, want %d and 1", s.Exchanges, s.Tokens, want)
				}
			})
		})
	}
}

// TestClockIsNotFollowedFar has a token endpoint show a time at which it would like to
// have a signature.
func TestClockIsNotFollowedFar(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		ahead     time.Duration
		corrected bool
	}{
		{day - time.Minute, true},
		{-day + time.Minute, true},
		{day + time.Minute, false},
		{-day - time.Minute, false},
		{100 * 365 * day, false},
		{-25 * 365 * day, false},
		{290 * 365 * day, false}, // nearly all that a time.Duration holds
	} {
		for _, status := range []int{400, 401, 403} {
			synctest.Test(t, func(t *testing.T) {
				v := visit(t, challengetest.Config{InMemory: true, Now: func() time.Time { return time.Now().Add(tt.ahead) }})
				v.client.Now = nil
				var signed []string
				key := v.key
				v.key = signer.Func(key.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
					signed = append(signed, string(msg))
					return key.Sign(ctx, msg)
				})
				server := time.Now().Add(tt.ahead).UTC()
				v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(status, ""))
				_, err := v.get(t.Context(), manifest)
				want := 1
				if tt.corrected {
					want = 2
				}
				if len(signed) != want || !errors.Is(err, challenge.ErrRejected) {
					t.Errorf("%v ahead, status %d: %d signatures, want %d; error %v", tt.ahead, status, len(signed), want, err)
				}
				if names := strings.Contains(err.Error(), server.Format(time.RFC3339)) && strings.Contains(err.Error(), time.Now().UTC().Format(time.RFC3339)); names == tt.corrected {
					t.Errorf("%v ahead: the error names both times: %v, want %v: %v", tt.ahead, names, !tt.corrected, err)
				}
				for _, text := range signed {
					u, parseErr := url.Parse(strings.Split(text, ",")[1])
					if parseErr != nil {
						t.Fatal(parseErr)
					}
					ts, parseErr := strconv.ParseInt(u.Query().Get("ts"), 10, 64)
					if parseErr != nil || time.Until(time.Unix(ts, 0)).Abs() > day {
						t.Errorf("%v ahead: signed ts=%d, %v", tt.ahead, ts, parseErr)
					}
				}
			})
		}
	}
}

func TestClockIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visit(t, challengetest.Config{InMemory: true})
		v.client.Now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
		v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(401, ""))
		_, err := v.get(t.Context(), manifest)
		var e *challenge.Error
		if !errors.As(err, &e) || e.Skew != 2*time.Hour || !strings.Contains(err.Error(), "2h0m0s behind") {
			t.Errorf("a clock two hours behind: %v", err)
		}
		if n := v.Stats().Exchanges; n != 2 {
			t.Errorf("%d exchanges, want one correction", n)
		}
	})
}

func (v *visitor) mustGet(t *testing.T, path string) {
	t.Helper()
	if _, err := v.get(t.Context(), path); err != nil {
		t.Error(err)
	}
}

func (v *visitor) mustGetAtOnce(t *testing.T, callers int) {
	t.Helper()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() { v.mustGet(t, manifest) })
	}
	all.Wait()
}
