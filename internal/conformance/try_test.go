package conformance

import (
	"context"
	"crypto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/signer"
)

// A one is a store with a single key, which cannot be changed.
type one struct{ signer.Signer }

func (o one) Open(ctx context.Context, name string) (signer.Signer, error) {
	if err := signer.CheckName(name, 100); err != nil {
		return nil, err
	}
	if name != "key" {
		return nil, signer.ErrNotFound
	}
	return o.Signer, ctx.Err()
}

// Delete is an ability that Store.Key keeps the suite from using.
func (o one) Delete(context.Context, string) error { panic("deleted") }

func newOne(t *testing.T, key crypto.Signer) Store {
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return Store{Backend: one{s}, Key: "key"}
}

func TestTryWithOneKey(t *testing.T) {
	store := newOne(t, NewKey(t))
	for _, c := range Checks() {
		got := c.Try(t.Context(), store)
		if len(got.Failures) > 0 {
			t.Errorf("%s: %q", c.Name, got.Failures)
		}
		ran := map[string]bool{"Open": true, "OpenAbsent": true, "OpenAtOnce": true, "Names": true, "Context": true, "SignEd25519": true, "SignAlgorithm": true, "SignChangesNothing": true, "SignAtOnce": true}
		if (got.Skipped == "") != ran[c.Name] {
			t.Errorf("%s: skipped because of %q", c.Name, got.Skipped)
		}
	}
}

// Each way in which a check can end is a Result, and clean-ups run in each.
func TestTryResults(t *testing.T) {
	for name, tt := range map[string]struct {
		run  func(TB)
		want Result
	}{
		"passes": {func(TB) {}, Result{}},
		"fails twice": {func(t TB) {
			t.Errorf("one")
			t.Error("two")
		}, Result{Failures: []string{"one", "two"}}},
		"cannot go on": {func(t TB) { t.Fatalf("%d", 1) }, Result{Failures: []string{"1"}}},
		"is skipped":   {func(t TB) { t.Skipf("no %s", "store") }, Result{Skipped: "no store"}},
		"fails and is skipped": {func(t TB) {
			t.Error("one")
			t.Skip("two")
		}, Result{Failures: []string{"one"}}},
		"panics":               {func(TB) { panic("a secret") }, Result{Failures: []string{"panic: string"}}},
		"fails when it cleans": {func(t TB) { t.Cleanup(func() { t.Fatal("clean") }) }, Result{Failures: []string{"clean"}}},
	} {
		var cleaned []int
		c := Check{Name: name, run: func(t TB, _ *store) {
			t.Cleanup(func() { cleaned = append(cleaned, 1) })
			t.Cleanup(func() { cleaned = append(cleaned, 2) })
			tt.run(t)
		}}
		got := c.Try(t.Context(), newOne(t, NewKey(t)))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: the result differs (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]int{2, 1}, cleaned); diff != "" {
			t.Errorf("%s: clean-ups ran otherwise (-want +got):\n%s", name, diff)
		}
	}
}

func TestChecksAreDescribed(t *testing.T) {
	for _, c := range Checks() {
		if c.About == "" || strings.HasSuffix(c.About, ".") {
			t.Errorf("%s is described as %q", c.Name, c.About)
		}
	}
}
