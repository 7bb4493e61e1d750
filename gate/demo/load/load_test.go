package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLoad does not judge how soon changes are in force: the machine may be busy.
func TestLoad(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o := options{time: 3 * time.Second, rate: 20, inForce: timeout}
	if os.Getenv("CI") != "" {
		o.time = 10 * time.Second
	}
	l, err := newLoad(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.run(t.Context()), l.close(), l.tally.check(o.inForce)); err != nil {
		t.Error(err)
	}
	var table bytes.Buffer
	l.tally.print(&table)
	t.Logf("\n%s", &table)
	if honest, dishonest, change := len(l.tally.honest.all), len(l.tally.dishonest.all), len(l.tally.change.all); honest != len(kinds) || dishonest < len(cheats) || change != len(changes)+1 {
		t.Errorf("%d kinds of honest requests, %d of dishonest ones and %d of changes", honest, dishonest, change)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestTally(t *testing.T) {
	refusal := &statusError{"GET /x", http.StatusUnauthorized, "no"}
	for want, fill := range map[string]func(*tally){
		"": func(t *tally) {
			t.sent("a", time.Second, nil)
			t.tried("b", refusal)
			t.changed("c", time.Second)
		},
		"a: 1 of 2 requests were refused, the first: GET /x: 401 no": func(t *tally) {
			t.sent("a", 0, nil)
			t.sent("a", 0, refusal)
		},
		"b: 1 of 1 requests were not refused, the first: granted":          func(t *tally) { t.tried("b", nil) },
		"b: 1 of 1 requests were not refused, the first: context canceled": func(t *tally) { t.tried("b", context.Canceled) },
		"c: the state before was seen after 2s, and 1s are allowed":        func(t *tally) { t.changed("c", 2*time.Second) },
	} {
		var all tally
		fill(&all)
		got := ""
		if err := all.check(time.Second); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRunWithWrongOptions(t *testing.T) {
	for _, o := range []options{{0, 1, 1}, {1, 0, 1}, {1, 1, 0}} {
		if err := run(t.Context(), o, t.Output()); err == nil || !strings.Contains(err.Error(), "must be positive") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
