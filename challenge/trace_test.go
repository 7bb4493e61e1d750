package challenge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
)

func TestTrace(t *testing.T) {
	v := visit(t, challengetest.Config{})
	var log bytes.Buffer
	ctx := challenge.WithTrace(t.Context(), challenge.LogTrace(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	if _, err := v.get(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	v.RevokeAll()
	if _, err := v.get(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	var messages []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, "msg=")
		message, _, _ := strings.Cut(rest, " registry=")
		messages = append(messages, message)
	}
	got := strings.Join(messages, ", ")
	const first = `challenged, "key opened", "asking for a token", "asked for a token"`

	if want := first + `, challenged, "token rejected", "asking for a token", "asked for a token"`; got != want {
		t.Errorf("logged %s\nwant %s", got, want)
	}
	sent := v.Last(challengetest.Resources).Header.Get("Authorization")
	if strings.Contains(log.String(), strings.TrimPrefix(sent, "Bearer ")) {
		t.Error("the log holds the token")
	}
}

// TestTraceOfKeys: the Trace of the Client and that of the request are both told.
func TestTraceOfKeys(t *testing.T) {
	v := visit(t, challengetest.Config{})
	first, second := v.key, visit(t, challengetest.Config{}).key
	var got []string
	v.client.Trace = &challenge.Trace{
		KeyOpened: func(e challenge.Event) { got = append(got, "opened "+e.Registry+" "+e.Key) },
		KeyChanged: func(e challenge.Event) {
			got = append(got, "changed "+e.Registry+" "+e.Previous+" to "+e.Key)
		},
		KeyFailed: func(e challenge.Event) {
			got = append(got, fmt.Sprintf("failed %s %v", e.Registry, errors.Is(e.Err, signer.ErrLocked)))
		},
	}
	var ofRequest int
	ctx := challenge.WithTrace(t.Context(), &challenge.Trace{KeyOpened: func(challenge.Event) { ofRequest++ }})
	if _, err := v.get(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	v.mustGet(t, manifest)
	v.key = second
	v.mustGet(t, manifest)
	v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked }
	for range 2 {
		if _, err := v.get(t.Context(), manifest); !errors.Is(err, signer.ErrLocked) {
			t.Errorf("error %v", err)
		}
	}
	want := []string{
		"opened " + v.URL + " " + ssh.FingerprintSHA256(first.PublicKey()),
		"changed " + v.URL + " " + ssh.FingerprintSHA256(first.PublicKey()) + " to " + ssh.FingerprintSHA256(second.PublicKey()),
		"failed " + v.URL + " true",
		"failed " + v.URL + " true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the Client's Trace was told (-want +got):\n%s", diff)
	}
	if ofRequest != 1 {
		t.Errorf("the request's Trace was told %d times, want once", ofRequest)
	}
}

// TestFailuresAreLogged: each failed request leaves a warning.
func TestFailuresAreLogged(t *testing.T) {
	malformed := challengetest.Reply(401, "", "WWW-Authenticate", `Bearer realm="x`)
	for name, plan := range map[string]func(*visitor){
		"the key is locked": func(v *visitor) {
			v.client.Key = func(context.Context, challenge.Origin) (signer.Signer, error) { return nil, signer.ErrLocked }
		},
		"the realm is refused": func(v *visitor) {
			v.Fail(challengetest.Challenges, challengetest.Always, challengetest.WrongRealm("https://evil.example/token"))
		},
		"the challenge is malformed": func(v *visitor) { v.Fail(challengetest.Challenges, challengetest.Always, malformed) },
		"the key is unknown":         func(v *visitor) { v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(401, "")) },
		"the token is refused":       func(v *visitor) { v.Fail(challengetest.Resources, challengetest.Always, challengetest.NeverSatisfied) },
	} {
		v := visit(t, challengetest.Config{})
		plan(v)
		var log bytes.Buffer
		v.client.Trace = challenge.LogTrace(slog.New(slog.NewTextHandler(&log, nil))) // Info and above
		for range 2 {
			before := strings.Count(log.String(), "level=WARN")
			if _, err := v.get(t.Context(), manifest); err == nil {
				t.Errorf("%s: no error", name)
			}
			if n := strings.Count(log.String(), "level=WARN") - before; n == 0 {
				t.Errorf("%s: no warning in the log: %s", name, log.String())
			}
		}
	}
}
