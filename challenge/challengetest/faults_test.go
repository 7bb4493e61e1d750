package challengetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/challenge/challengetest"
)

func TestChallengeFaults(t *testing.T) {
	r := start(t, challengetest.Config{})
	tests := map[string]struct {
		fault challengetest.Fault
		want  []string
	}{
		"wrong realm": {
			challengetest.WrongRealm("http://u:p@192.0.2.1/token"),
			[]string{`Bearer realm="http://u:p@192.0.2.1/token",service="challengetest"`},
		},
		"no challenge": {challengetest.Reply(401, "who are you?"), nil},
		"malformed":    {challengetest.Reply(401, "", "WWW-Authenticate", `Bearer realm="`), []string{`Bearer realm="`}},
		"two lines": {
			challengetest.Reply(401, "", "WWW-Authenticate", `Basic realm="x"`, "WWW-Authenticate", "Bearer realm="),
			[]string{`Basic realm="x"`, "Bearer realm="},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r.Fail(challengetest.Challenges, 1, tt.fault)
			got := get(t, r, r.URL+"/v2/", "")
			if lines := got.header.Values("WWW-Authenticate"); strings.Join(lines, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("challenge %q, want %q", lines, tt.want)
			}
			got.want(t, http.StatusUnauthorized, "")
			if healthy := get(t, r, r.URL+"/v2/", "").challenge(); healthy != `Bearer realm="URL/v2/token",service="challengetest"` {
				t.Errorf("afterwards: %s", healthy)
			}
		})
	}
}

// TestFaultsInOrder wants the faults of a part one after the other, each for the
// number of requests that Fail was given.
func TestFaultsInOrder(t *testing.T) {
	r := start(t, challengetest.Config{})
	r.Fail(challengetest.Tokens, 2, challengetest.Reply(503, "", "Retry-After", "2"))
	r.Fail(challengetest.Tokens, 1, challengetest.Reply(429, `{"error":"slow down"}`))
	r.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(307, "", "Location", "http://192.0.2.1/"))
	for _, want := range []int{503, 503, 429, 307, 307, 307} {
		got := exchange{realm: r.Realm(), query: "x=y", key: newKey(t)}.do(t, r)
		got.want(t, want, "")
		if want == 503 && got.header.Get("Retry-After") != "2" {
			t.Errorf("header %v", got.header)
		}
	}
	r.Heal()
	token(t, r, pull)
	if got := r.Stats(); got.Exchanges != 7 || got.Tokens != 1 || got.Signatures != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTokenFaults(t *testing.T) {
	r := start(t, challengetest.Config{})
	ask := func(t *testing.T) reply {
		return exchange{realm: r.Realm(), query: query(pull, time.Now()).Encode(), key: newKey(t)}.do(t, r)
	}
	t.Run("page", func(t *testing.T) {
		r.Fail(challengetest.Tokens, 1, challengetest.Reply(200, "<html>", "Content-Type", "text/html"))
		ask(t).want(t, http.StatusOK, "<html>")
	})
	t.Run("huge", func(t *testing.T) {
		r.Fail(challengetest.Tokens, 1, challengetest.Huge(1<<20))
		if got := ask(t); len(got.body) < 1<<20 || !json.Valid([]byte(got.body)) || got.header.Get("Content-Length") != "" {
			t.Errorf("%d bytes, header %v", len(got.body), got.header)
		}
	})
	t.Run("cut", func(t *testing.T) {
		r.Fail(challengetest.Tokens, 1, challengetest.Cut)
		if got := ask(t); !errors.Is(got.err, io.ErrUnexpectedEOF) || got.body == "" {
			t.Errorf("%q, error %v", got.body, got.err)
		}
	})
	t.Run("other members", func(t *testing.T) {
		r.Fail(challengetest.Tokens, 1, challengetest.TokenReply(func(reply map[string]any) {
			reply["access_token"], reply["expires_in"] = reply["token"], -5
			delete(reply, "token")
			delete(reply, "issued_at")
		}))
		got := ask(t)
		var members map[string]any
		if err := json.Unmarshal([]byte(got.body), &members); err != nil {
			t.Fatal(err)
		}
		if len(members) != 2 || members["expires_in"] != -5.0 {
			t.Errorf("members %v", members)
		}
		get(t, r, r.URL+"/v2/", members["access_token"].(string)).want(t, http.StatusOK, "")
	})
	t.Run("refusal is unchanged", func(t *testing.T) {
		r.Fail(challengetest.Tokens, 1, challengetest.TokenReply(func(reply map[string]any) { reply["hint"] = "x" }))
		exchange{realm: r.Realm(), query: "a=b", key: newKey(t)}.do(t, r).want(t, http.StatusBadRequest, "ts missing")
	})
}

func TestNeverSatisfied(t *testing.T) {
	r := start(t, challengetest.Config{})
	bearer := token(t, r, pull)
	r.Fail(challengetest.Resources, challengetest.Always, challengetest.NeverSatisfied)
	for range 3 {
		got := get(t, r, r.URL+"/v2/", bearer)
		if !strings.Contains(got.challenge(), `error="invalid_token"`) {
			t.Errorf("challenge %s", got.challenge())
		}
	}
	if got := r.Last(challengetest.Resources).Header.Get("Authorization"); got != "Bearer "+bearer {
		t.Errorf("the last request had %q", got)
	}
	r.Heal()
	get(t, r, r.URL+"/v2/", bearer).want(t, http.StatusOK, "")
}

func TestHold(t *testing.T) {
	r := start(t, challengetest.Config{})
	arrived, release := make(chan struct{}), make(chan struct{})
	r.Fail(challengetest.Resources, 2, challengetest.Hold(arrived, release))

	t.Run("client gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan reply)
		go func() { done <- do(t, r, request(t, http.MethodGet, r.URL+"/v2/", "").WithContext(ctx)) }()
		<-arrived
		cancel()
		if got := <-done; !errors.Is(got.err, context.Canceled) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("released", func(t *testing.T) {
		done := make(chan reply)
		go func() { done <- get(t, r, r.URL+"/v2/", "") }()
		<-arrived
		close(release)
		(<-done).want(t, http.StatusUnauthorized, "authentication required")
	})
}

func TestCloseEndsHeldRequests(t *testing.T) {
	r, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	r.Fail(challengetest.Resources, 1, challengetest.Hold(arrived, nil))
	done := make(chan reply)
	go func() { done <- send(t, r, http.MethodPut, r.URL+"/v2/", "", strings.Repeat("x", 1<<20)) }()
	<-arrived
	r.Close()
	if got := <-done; got.err == nil {
		t.Errorf("a reply came: %+v", got)
	}
}
