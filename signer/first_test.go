package signer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

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
			"key not found under any of 2 references\n" +
				"  passed over: open env:K: key not found\n" +
				"  passed over: open keyring:k: key store unavailable: no bus",
		},
		{
			[]string{"env:K", "keyring:k", "file:f"},
			signer.ErrInsecure,
			"open file:f: key is not protected: mode 0644\n" +
				"  passed over: open env:K: key not found\n" +
				"  passed over: open keyring:k: key store unavailable: no bus",
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
