package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A testFunc is one test of a program that contains the mutants of a package.
type testFunc struct {
	program string
	pkg     string
	name    string
	took    time.Duration
	reached map[string]bool // numbers of the mutants whose code the test runs
}

// isDisturbed reports whether the switches alone make t fail, as they do with a test
// that counts allocations.
func (t testFunc) isDisturbed() bool { return t.reached == nil }

// buildTests builds all mutants of g into test programs and returns their tests, the
// quickest first.
func (r *runner) buildTests(ctx context.Context, g group) ([]testFunc, error) {
	sources, err := numberMutants(g.pkg, g.mutants)
	if err != nil {
		return nil, err
	}
	dir := r.tempDir()
	sources[filepath.Join(filepath.Dir(g.pkg.names[0]), "mutant_switch.go")] = fmt.Appendf(nil, switchCode, g.pkg.packageName())
	overlay := r.writeOverlay(dir, sources)
	var tests []testFunc
	for _, p := range g.packages() {
		program := filepath.Join(dir, strings.ReplaceAll(p, "/", "-")+".test")
		build := r.command(ctx, dir, "go", "test", "-c", "-vet=off", "-o", program, "-overlay", overlay, ".")
		build.Dir = filepath.Join(r.root, p)
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the mutants of %s: %w\n%s", p, err, out)
		}
		list := r.command(ctx, dir, program, "-test.list", "^(Test|Example|Fuzz)")
		list.Dir = filepath.Join(r.root, p)
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("listing the tests of %s: %w", p, err)
		}
		for _, name := range strings.Fields(string(out)) {
			tests = append(tests, testFunc{program: program, pkg: p, name: name})
		}
	}
	r.parallel(len(tests), func(i int) { r.trace(ctx, &tests[i]) })
	slices.SortFunc(tests, func(a, b testFunc) int { return cmp.Compare(a.took, b.took) })
	return tests, errors.Join(ctx.Err(), r.checkDisturbed(ctx, g.packages(), tests))
}

// namesOf returns the names of the tests for which keep returns true.
func namesOf(tests []testFunc, keep func(testFunc) bool) []string {
	var names []string
	for _, t := range tests {
		if keep(t) {
			names = append(names, t.name)
		}
	}
	return names
}

// packages returns the packages whose tests g needs, its own first.
func (g group) packages() []string {
	var all []string
	for _, m := range g.mutants {
		for _, p := range m.target.packages() {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// trace runs t without a mutant and fills in the time that it took and the mutants
// that it reached.
func (r *runner) trace(ctx context.Context, t *testFunc) {
	dir := r.tempDir()
	defer os.RemoveAll(dir)
	list := filepath.Join(dir, "reached")
	start := time.Now()
	if !r.passes(ctx, *t, dir, 10*r.timeLimit, "MUTANT_REACHED="+list) {
		return
	}
	t.took = time.Since(start)
	t.reached = map[string]bool{}
	text, _ := os.ReadFile(list) // absent if no mutant was reached
	for _, number := range strings.Fields(string(text)) {
		t.reached[number] = true
	}
}

// testSwitched runs the tests that reach m until one fails.
func (r *runner) testSwitched(ctx context.Context, m mutant, tests []testFunc) outcome {
	number := fmt.Sprint(m.number)
	dir := r.tempDir()
	defer os.RemoveAll(dir)
	for _, t := range tests {
		if t.reached[number] && !r.passes(ctx, t, dir, max(r.timeLimit, 20*t.took), "MUTANT="+number) {
			return killed
		}
	}
	return survived
}

func (r *runner) passes(ctx context.Context, t testFunc, dir string, limit time.Duration, variable string) bool {
	cmd := r.command(ctx, dir, t.program, "-test.run", "^"+t.name+"$", "-test.failfast", "-test.timeout", limit.String())
	cmd.Env = append(cmd.Env, variable)
	cmd.Dir = filepath.Join(r.root, t.pkg)
	return cmd.Run() == nil
}
