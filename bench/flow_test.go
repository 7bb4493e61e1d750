package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge/challengetest"
)

const (
	callers = 64
	few     = 16

	// latency of a token request, as over a slow network: all callers meet the
	// same state, however busy the machine is. The clock is the real one, for some
	// peers wait with a mutex held, which testing/synctest cannot see through.
	latency = time.Second
)

// A flow is a behaviour of the token flow: run tells what a table shows, and
// whether that is right.
type flow struct {
	name string
	run  func(v visit) (result string, right bool)
}

// A visit is a client at a registry of its own.
type visit struct {
	*challengetest.Registry
	t    *testing.T
	ttl  time.Duration // of tokens
	pull pull
}

func flows() []flow {
	return []flow{
		{"64 callers, nothing known", cold},
		{"64 more, token known", warm},
		{"64 more, token expired", expired},
		{"64 more, token dropped by the server", dropped},
		{"1, its token never taken", neverTaken},
		{"16, the one that exchanges gives up: failures of the others", leaderGone},
		{"16, one 503 from the realm: failures", unavailable},
		{"16, one 429 with Retry-After: 7: failures", tooMany},
		{"own deadline kept while another exchanges", deadline},
	}
}

func (f flow) result(t *testing.T, c client, ttl time.Duration) (result string, right bool) {
	registry, s := open(t, challengetest.Config{InMemory: true, TTL: ttl})
	return f.run(visit{registry, t, ttl, c.connect(t, s)})
}

// TestFlows holds ours to every result, and logs how the peers fare. Some of
// them take no lifetime of less than a minute for true: the report waits longer.
func TestFlows(t *testing.T) {
	for _, f := range flows() {
		for _, c := range clients() {
			t.Run(f.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				result, right := f.result(t, c, 8*time.Second)
				t.Log(result)
				if c.name == ours && !right {
					t.Error("this is not what countersign promises")
				}
			})
		}
	}
}

// A cost is what requests took.
type cost struct{ exchanges, challenges, failures int }

func (c cost) String() string {
	return fmt.Sprintf("%d / %d / %d", c.exchanges, c.challenges, c.failures)
}

// within also lets fewer callers be challenged: some may be late.
func (c cost) within(exchanges, challenges, failures int) (string, bool) {
	return c.String(), c.exchanges == exchanges && c.challenges <= challenges && c.failures == failures
}

func (v visit) cost(f func() []error) cost {
	before := v.Stats()
	errs := f()
	now := v.Stats()
	return cost{now.Exchanges - before.Exchanges, now.Challenges - before.Challenges, len(errs)}
}

func (v visit) atOnce(callers int) []error {
	errs := v.pull(v.t.Context(), repo, callers)
	for i, err := range errs {
		if i == 0 || err.Error() != errs[i-1].Error() {
			v.t.Logf("failure %d: %.300v", i+1, err)
		}
	}
	return errs
}

// slow makes token requests take their time.
func slow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		time.Sleep(latency)
		next.ServeHTTP(w, req)
	})
}

func slowly(f challengetest.Fault) challengetest.Fault {
	return func(next http.Handler) http.Handler { return slow(f(next)) }
}

func (v visit) slowAtOnce() cost {
	v.Fail(challengetest.Challenges, challengetest.Always, slow)
	v.Fail(challengetest.Tokens, challengetest.Always, slow)
	return v.cost(func() []error { return v.atOnce(callers) })
}

func cold(v visit) (string, bool) { return v.slowAtOnce().within(1, callers, 0) }

func warm(v visit) (string, bool) {
	v.atOnce(1)
	return v.slowAtOnce().within(0, 0, 0)
}

func expired(v visit) (string, bool) {
	v.atOnce(1)
	time.Sleep(v.ttl + time.Second)
	return v.slowAtOnce().within(1, 0, 0)
}

func dropped(v visit) (string, bool) {
	v.atOnce(1)
	v.RevokeAll()
	return v.slowAtOnce().within(1, callers, 0)
}

func neverTaken(v visit) (string, bool) {
	v.Fail(challengetest.Resources, challengetest.Always, challengetest.NeverSatisfied)
	return v.cost(func() []error { return v.atOnce(1) }).within(1, 2, 1)
}

func leaderGone(v visit) (string, bool) {
	arrived, release := make(chan struct{}), make(chan struct{})
	v.Fail(challengetest.Tokens, 1, challengetest.Hold(arrived, release))
	ctx, cancel := context.WithCancel(v.t.Context())
	var leader, others sync.WaitGroup
	leader.Go(func() { v.pull(ctx, repo, 1) })
	<-arrived
	var errs []error
	others.Go(func() { errs = v.atOnce(few - 1) })
	time.Sleep(latency) // by then they have their tokens or wait for the leader's
	cancel()
	time.Sleep(latency) // some hear of it only when the reply comes
	close(release)
	leader.Wait()
	others.Wait()
	return v.failures(errs)
}

func unavailable(v visit) (string, bool) {
	v.Fail(challengetest.Tokens, 1, slowly(challengetest.Reply(503, "")))
	return v.failures(v.atOnce(few))
}

func tooMany(v visit) (string, bool) {
	v.Fail(challengetest.Tokens, 1, slowly(challengetest.Reply(429, "", "Retry-After", "7")))
	v.Fail(challengetest.Tokens, challengetest.Always, tooEarly(time.Now().Add(latency+7*time.Second)))
	return v.failures(v.atOnce(few))
}

// failures also tells if those who come later fail too.
func (v visit) failures(errs []error) (string, bool) {
	v.Heal()
	if later := v.atOnce(1); len(later) > 0 {
		return fmt.Sprintf("%d and all later", len(errs)), false
	}
	return fmt.Sprint(len(errs)), len(errs) == 0
}

// tooEarly refuses whoever comes before a time.
func tooEarly(until time.Time) challengetest.Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if time.Now().Before(until) {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

func deadline(v visit) (string, bool) {
	arrived, release := make(chan struct{}), make(chan struct{})
	v.Fail(challengetest.Tokens, 1, challengetest.Hold(arrived, release))
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Hold(nil, release))
	var leader sync.WaitGroup
	leader.Go(func() { v.pull(v.t.Context(), repo, 1) })
	<-arrived
	ctx, cancel := context.WithTimeout(v.t.Context(), latency)
	defer cancel()
	free := time.AfterFunc(5*latency, func() { close(release) })
	v.pull(ctx, repo, 1)
	kept := free.Stop()
	if kept {
		close(release)
	}
	leader.Wait()
	if kept {
		return "yes", true
	}
	return "no", false
}
