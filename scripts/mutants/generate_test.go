package main

import (
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// changes returns the changes of all mutants of one file without imports.
func changes(t *testing.T, source string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "p.go")
	if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pkg{fset: token.NewFileSet()}
	if err := p.parse(listed{ImportPath: "p", Dir: filepath.Dir(name), GoFiles: []string{"p.go"}}); err != nil {
		t.Fatal(err)
	}
	g := &generator{ids: map[string]bool{}, target: target{file: "p.go"}, pkg: p, sample: sample{}}
	if err := g.generate(name); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range g.mutants {
		got = append(got, m.change)
		if string(m.source()) == source {
			t.Errorf("%v changes nothing", m)
		}
	}
	return got
}

func TestOperators(t *testing.T) {
	tests := []struct {
		name, source string
		want         []string
	}{
		{"condition", `func f(a bool) int { if a { return 1 }; return 2 }`, []string{
			"`a` becomes `false`", "`a` becomes `true`", "`2` becomes `(2 + 1)`",
		}},
		{"conjunct", `func f(a, b bool) bool { return a && b }`, []string{
			"`a && b` becomes `false`", "`a && b` becomes `true`", "`a` becomes `true`", "`b` becomes `true`",
		}},
		{"disjunct", `func f(a, b bool) bool { x := a || b; return x }`, []string{
			"`a` becomes `false`", "`b` becomes `false`", "`x` becomes `false`", "`x` becomes `true`",
		}},
		{"comparison", `func f(a int) bool { x := a < 5; return x }`, []string{
			"`a < 5` becomes `a <= 5`", "`5` becomes `(5 + 1)`", "`x` becomes `false`", "`x` becomes `true`",
		}},
		{"error is lost", `func f(err error) error { if err != nil { return err }; return nil }`, []string{
			"`return err` becomes `return nil`",
		}},
		{"error is not checked", `func f(err error) (n int) { if err != nil { n++ }; return n }`, []string{
			"`err != nil` becomes `false`", "`n++` is removed",
		}},
		{"statement", `func f(g func()) { g(); defer g() }`, []string{"`g()` is removed", "`defer g()` is removed"}},
		{"assignment", `func f(p *int) { *p = 1 }`, []string{"`*p = 1` is removed"}},
		{"loop", `func f(n []int) (s int) { for _, i := range n { s += i }; return s }`, []string{
			"loop over `{ s += i }` ends after one round", "`s += i` is removed",
		}},
		{"fields", `type k struct{ a, b string }; func f(a, b string) k { return k{a, b} }`, []string{
			"`a` becomes `\"\"`", "`b` becomes `\"\"`",
		}},
		{"named field", `type k struct{ a string }; func f(a string) k { return k{a: a} }`, []string{"`a: a` is left out"}},
		{"text for people", `type k struct{ a, b string }; func f() k { return k{a: "some text", b: "x"} }`, []string{
			"`b: \"x\"` is left out",
		}},
		{"list", `func f(a, b string) []string { return []string{a, b} }`, []string{"`a` is left out", "`b` is left out"}},
		{"conversion", `func lower(s string) string { return s }; func f(s string) string { return lower(s) }`, []string{
			"`lower(s)` becomes `s`",
		}},
		{"limit", `const limit = 64 << 10`, []string{
			"`64 << 10` becomes `(2 * (64 << 10))`", "`64 << 10` becomes `((64 << 10) / 2)`",
		}},
		{"file mode", `func f(g func(int)) { g(0o600) }`, []string{"`g(0o600)` is removed", "`0o600` becomes `0o644`"}},
		{"case of a switch with a tag", `func f(s string) int { switch s { case "a", "b": return 1 }; return 0 }`, []string{
			"`\"a\"` is removed from a case", "`\"b\"` is removed from a case", "`\"a\"` becomes `\"mutant\"`", "`\"b\"` becomes `\"mutant\"`",
		}},
		{"case without a tag", `func f(a bool) int { switch { case a: return 1 }; return 0 }`, []string{
			"`a` becomes `false`", "`a` becomes `true`",
		}},
		{"text", `func f(a, b string) string { return a + b }`, []string{"`a + b` becomes `a`", "`a + b` becomes `b`"}},
		{"number", `func f(a, b int) int { return max(a, b) + a }`, []string{
			"`max(a, b) + a` becomes `max(a, b) - a`", "`max(a, b)` becomes `min(a, b)`", "`max(a, b)` becomes `a`",
		}},
		{"same text twice", `func f(g func()) { g(); g() }`, []string{"`g()` is removed", "`g()` is removed (number 2)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, changes(t, "package p\n"+tt.source+"\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTable wants every file of the table to be there, and no file twice.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, target := range allTargets() {
		if seen[target.file] {
			t.Errorf("%s stands twice in the table", target.file)
		}
		seen[target.file] = true
		if _, err := os.Stat(filepath.Join("../..", target.file)); err != nil {
			t.Errorf("targets.go names a file that is missing: %v", err)
		}
	}
}

func TestSampleIsFixed(t *testing.T) {
	m := mutant{target: target{file: "a.go"}, function: "f", change: "`x` is removed"}
	moved := m
	moved.line = 99
	for _, n := range []int{1, 2, 3, 50} {
		if s := (sample{parts: n}); s.has(m) != s.has(moved) {
			t.Errorf("the line decides whether a mutant is one of %d", n)
		}
	}
	if !(sample{}).has(m) || !(sample{parts: 1}).has(m) {
		t.Error("a sample of all leaves a mutant out")
	}
}

// Each mutant is in one part, and the parts have about the same size.
func TestPartsOfASample(t *testing.T) {
	const parts = 10
	var sizes [parts]int
	for i := range 1000 {
		m := mutant{target: target{file: "a.go"}, function: "f", change: strings.Repeat("x", i)}
		found := 0
		for part := range parts {
			if (sample{parts, part}).has(m) {
				sizes[part]++
				found++
			}
		}
		if found != 1 {
			t.Errorf("mutant %d is in %d parts, want 1", i, found)
		}
	}
	for part, size := range sizes {
		if size < 50 || size > 200 {
			t.Errorf("part %d of 1000 mutants has %d", part, size)
		}
	}
}
