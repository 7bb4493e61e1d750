package challenge_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

// TestChallengeIsAskedAgainAfterAFailure: what was needed last time may have changed.
func TestChallengeIsAskedAgainAfterAFailure(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.mustGet(t, manifest)
	openKey := v.client.Key
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked }
	if _, err := v.get(t.Context(), manifest); !errors.Is(err, signer.ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	v.client.Key = openKey
	v.mustGet(t, manifest)
	if n := v.Stats().Challenges; n != 2 {
		t.Errorf("%d challenges, want 2: another one after the failure", n)
	}
}

// TestRememberedTokenIsRefused has a server refuse a token without a challenge.
func TestRememberedTokenIsRefused(t *testing.T) {
	post := func(v *visitor, body io.Reader) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, v.URL+manifest, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := v.http.Do(req)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	once := func() io.Reader { return io.NopCloser(strings.NewReader("{}")) } // has no GetBody
	again := func() io.Reader { return strings.NewReader("{}") }
	tests := []struct {
		status, times   int
		body            func() io.Reader
		want, exchanges int // of this request
		rejected        bool
	}{
		{401, 1, again, 200, 1, false},
		{401, 2, again, 0, 1, true}, // the fresh token is refused too
		{401, 1, once, 401, 0, false},
		{400, 1, again, 400, 0, false},
		{403, 1, again, 403, 0, false},
		{404, 1, again, 404, 0, false},
		{500, 1, again, 500, 0, false},
	}
	for _, tt := range tests {
		v := visit(t, challengetest.Config{})
		accept := challengetest.Reply(200, "")
		v.Fail(challengetest.Resources, 1, func(next http.Handler) http.Handler { return next }) // challenges
		v.Fail(challengetest.Resources, 1, accept)
		if status, err := post(v, again()); status != 200 {
			t.Fatalf("status %d, error %v", status, err)
		}
		v.Fail(challengetest.Resources, tt.times, challengetest.Reply(tt.status, `{"error":"no"}`))
		v.Fail(challengetest.Resources, challengetest.Always, accept)
		before := v.Stats().Exchanges
		status, err := post(v, tt.body())
		if status != tt.want || errors.Is(err, challenge.ErrRejected) != tt.rejected {
			t.Errorf("status %d %d times: status %d, error %v", tt.status, tt.times, status, err)
		}
		if n := v.Stats().Exchanges - before; n != tt.exchanges {
			t.Errorf("status %d %d times: %d exchanges, want %d", tt.status, tt.times, n, tt.exchanges)
		}
		before = v.Stats().Exchanges
		if status, err := post(v, again()); status != 200 {
			t.Errorf("after status %d: status %d, error %v", tt.status, status, err)
		}
		dropped := 1
		if tt.want == 200 || tt.times == 2 || tt.status == 404 || tt.status == 500 {
			dropped = 0
		}
		if n := v.Stats().Exchanges - before; n != dropped {
			t.Errorf("after status %d %d times: %d exchanges, want %d", tt.status, tt.times, n, dropped)
		}
	}
}

// TestFreshTokenIsKept: a server that forbids a request with a token that was issued for
// it means the request, not the token.
func TestFreshTokenIsKept(t *testing.T) {
	v := visit(t, challengetest.Config{})
	challenges := func(next http.Handler) http.Handler { return next }
	forbids := challengetest.Reply(403, "")
	for _, plan := range []func(){
		func() { v.Fail(challengetest.Resources, 1, challenges); v.Fail(challengetest.Resources, 1, forbids) },
		func() { v.key = visit(t, challengetest.Config{}).key; v.Fail(challengetest.Resources, 1, forbids) }, // what it asks for is known
	} {
		plan()
		before := v.Stats().Exchanges
		if _, err := v.get(t.Context(), manifest); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("error %v", err)
		}
		v.mustGet(t, manifest)
		if n := v.Stats().Exchanges - before; n != 1 {
			t.Errorf("%d exchanges, want 1", n)
		}
	}
}

func TestReject(t *testing.T) {
	v := visit(t, challengetest.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+manifest, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ch, err := challenge.Bearer(resp.Header)
	if err != nil {
		t.Fatal(err)
	}
	get := func() challenge.Token {
		t.Helper()
		token, err := v.client.Token(t.Context(), ch, req)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	v.client.Reject(challenge.Token{}) // nothing to reject
	first := get()
	if second := get(); second.Value() != first.Value() {
		t.Error("the token is not remembered")
	}
	v.client.Reject(first)
	second := get()
	if second.Value() == first.Value() {
		t.Error("the rejected token is still there")
	}
	v.client.Reject(first) // a late caller
	if get().Value() != second.Value() {
		t.Error("rejecting the first token again took the second")
	}
}
