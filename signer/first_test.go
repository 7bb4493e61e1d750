package signer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/signer"
)

func TestFirstPassesOver(t *testing.T) {
	here := newSigner(t)
	for _, err := range []error{
		signer.ErrNotFound,
		signer.ErrUnavailable,
		fmt.Errorf("%w: no such file", signer.ErrNotFound),
		fmt.Errorf("reading: %w", fmt.Errorf("%w: no bus", signer.ErrUnavailable)),
	} {
		m := signer.Mux{"gone": fails(err), "here": holds(here)}
		s, err := signer.First(t.Context(), m, "gone:x", "here:y")
		if err != nil {
			t.Errorf("First: %v", err)
			continue
		}
		if got := fmt.Sprint(s); got != "here:y" {
			t.Errorf("First opened %s, want here:y", got)
		}
	}
}

func TestFirstEnds(t *testing.T) {
	damaged := errors.New("damaged private key")
	tests := []struct{ err, want error }{
		{signer.ErrLocked, signer.ErrLocked},
		{signer.ErrDenied, signer.ErrDenied},
		{signer.ErrInsecure, signer.ErrInsecure},
		{signer.ErrUnsupported, signer.ErrUnsupported},
		{signer.ErrName, signer.ErrName},
		{damaged, damaged},
		{context.DeadlineExceeded, context.DeadlineExceeded},
		{context.Canceled, context.Canceled},
		{fmt.Errorf("%w: %w", signer.ErrUnavailable, context.DeadlineExceeded), context.DeadlineExceeded},
		{fmt.Errorf("%w: %w", signer.ErrUnavailable, os.ErrDeadlineExceeded), os.ErrDeadlineExceeded},
		{fmt.Errorf("%w: %w", signer.ErrNotFound, context.Canceled), context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			weaker := signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
				t.Error("a later store was asked")
				return nil, signer.ErrNotFound
			})
			m := signer.Mux{"gone": fails(signer.ErrNotFound), "ends": fails(tt.err), "weaker": weaker}
			_, err := signer.First(t.Context(), m, "gone:x", "ends:y", "weaker:z")
			wantIs(t, err, tt.want)
			if errors.Is(err, signer.ErrNotFound) != errors.Is(tt.err, signer.ErrNotFound) {
				t.Errorf("the error of a key that is there is ErrNotFound: %v", err)
			}
		})
	}
}

// A store whose time is up may call that anything, even not found.
func TestFirstEndsWithContext(t *testing.T) {
	for _, stores := range [][]string{{"slow:x"}, {"slow:x", "weaker:y"}} {
		ctx, cancel := context.WithCancel(t.Context())
		m := signer.Mux{
			"slow": signer.OpenFunc(func(context.Context, string) (signer.Signer, error) {
				cancel()
				return nil, fmt.Errorf("%w: no answer", signer.ErrUnavailable)
			}),
			"weaker": holds(newSigner(t)),
		}
		_, err := signer.First(ctx, m, stores...)
		wantIs(t, err, context.Canceled)
		if errors.Is(err, signer.ErrNotFound) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("got %v, want the reason and no ErrNotFound", err)
		}
	}
}

func TestIsAbsent(t *testing.T) {
	for _, err := range []error{
		signer.ErrNotFound,
		signer.ErrUnavailable,
		signer.Wrap("open", "env:K", fmt.Errorf("%w: not set", signer.ErrNotFound)),
		signer.WithHint(signer.ErrUnavailable, signer.Hint{Do: "start it"}),
		&signer.SearchError{Err: signer.ErrNotFound},
	} {
		if !signer.IsAbsent(err) {
			t.Errorf("IsAbsent(%v) = false", err)
		}
	}
	for _, err := range append(slices.Clone(sentinels[3:]),
		nil,
		signer.ErrExists,
		errors.New("damaged"),
		context.Canceled,
		fmt.Errorf("%w: %w", signer.ErrNotFound, context.Canceled),
		fmt.Errorf("%w: %w", signer.ErrUnavailable, context.DeadlineExceeded),
		fmt.Errorf("%w: %w", signer.ErrUnavailable, os.ErrDeadlineExceeded),
		&signer.SearchError{Err: signer.ErrLocked, Passed: []signer.PassedOver{{Ref: "env:K", Err: signer.ErrNotFound}}},
	) {
		if signer.IsAbsent(err) {
			t.Errorf("IsAbsent(%v) = true", err)
		}
	}
}

func TestFirstExposesPassedOver(t *testing.T) {
	m := signer.Mux{"env": fails(signer.ErrNotFound), "file": fails(signer.ErrLocked)}
	for _, refs := range [][]string{{"env:A", "env:B"}, {"env:A", "env:B", "file:f", "env:C"}} {
		_, err := signer.First(t.Context(), m, refs...)
		e, ok := errors.AsType[*signer.SearchError](err)
		if !ok {
			t.Fatalf("got %T, want a *SearchError", err)
		}
		var got []string
		for _, p := range e.Passed {
			wantIs(t, p.Err, signer.ErrNotFound)
			got = append(got, p.Ref)
		}
		if diff := cmp.Diff([]string{"env:A", "env:B"}, got); diff != "" {
			t.Errorf("First(%q) passed over (-want +got):\n%s", refs, diff)
		}
	}
}

func TestFirstListsAllReasons(t *testing.T) {
	m := signer.Mux{
		"env":     fails(signer.ErrNotFound),
		"keyring": fails(fmt.Errorf("%w: no bus", signer.ErrUnavailable)),
		"file":    fails(fmt.Errorf("%w: mode 0644", signer.ErrInsecure)),
	}
	tests := []struct {
		refs []string
		want error
		text string
	}{
		{
			[]string{"env:K", "keyring:k"},
			signer.ErrNotFound,
			"key not found: tried env:K, keyring:k (unavailable)",
		},
		{
			[]string{"env:K", "keyring:k", "file:f"},
			signer.ErrInsecure,
			"open file:f: key is not protected: mode 0644; passed over: env:K, keyring:k (unavailable)",
		},
		{
			[]string{"env:K"},
			signer.ErrNotFound,
			"key not found: tried env:K",
		},
		{nil, signer.ErrNotFound, "key not found: no references to try"},
	}
	for _, tt := range tests {
		_, err := signer.First(t.Context(), m, tt.refs...)
		wantIs(t, err, tt.want)
		if err == nil || err.Error() != tt.text {
			t.Errorf("got\n%v\nwant\n%s", err, tt.text)
		}
	}
	_, err := signer.First(t.Context(), m, "env:K", "file:f")
	if e, ok := errors.AsType[*signer.Error](err); !ok || e.Ref != "file:f" {
		t.Errorf("got %#v, want the *Error that ended the search", err)
	}
}
