package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

type outcome int

const (
	survived outcome = iota
	killed
)

// A runner runs tests with a mutant in place of its file.
type runner struct {
	root string
	dir  string   // for everything that is written
	env  []string // of the tests
	jobs int      // tests at the same time

	// timeLimit is the least time for a test. A mutant that exceeds it hangs, and
	// people notice a test that hangs.
	timeLimit time.Duration
}

func newRunner(root string, jobs int) (*runner, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // some tests act as another user
		return nil, err
	}
	r := &runner{root: root, dir: dir, env: os.Environ(), jobs: jobs, timeLimit: 30 * time.Second}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} { // they depend on HOME
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go env %s: %w", name, err)
		}
		r.env = append(r.env, name+"="+strings.TrimSpace(string(out)))
	}
	return r, nil
}

func (r *runner) close() { os.RemoveAll(r.dir) }

// parallel calls f with the numbers from 0 to n-1, several at the same time.
func (r *runner) parallel(n int, f func(int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range r.jobs {
		workers.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// testGroup tests the mutants of one package and calls report with each outcome, one
// call after the other.
func (r *runner) testGroup(ctx context.Context, g group, report func(mutant, outcome)) error {
	tests, err := r.buildTests(ctx, g)
	if err != nil {
		return err
	}
	var mu sync.Mutex // for report
	r.parallel(len(g.mutants), func(i int) {
		m := g.mutants[i]
		result := r.testSwitched(ctx, m, tests)
		if result == survived {
			result = r.testAlone(ctx, m, tests)
		}
		mu.Lock()
		defer mu.Unlock()
		report(m, result)
	})
	return ctx.Err()
}

// testAlone builds m alone and runs the tests that testSwitched did not run, until
// one fails: all if m has no switch, else those that the switches disturb.
func (r *runner) testAlone(ctx context.Context, m mutant, tests []testFunc) outcome {
	dir := r.tempDir()
	defer os.RemoveAll(dir)
	overlay := r.writeOverlay(dir, map[string][]byte{filepath.Join(r.root, filepath.FromSlash(m.target.file)): m.source()})
	for _, p := range m.target.packages() {
		names := namesOf(tests, func(t testFunc) bool { return t.pkg == p && (m.number == 0 || t.isDisturbed()) })
		if len(names) > 0 && r.goTest(ctx, dir, p, names, "-overlay", overlay).Run() != nil {
			return killed
		}
	}
	return survived
}

// checkDisturbed returns an error if tests that fail with the switches fail without
// them, too: otherwise every mutant would count as killed.
func (r *runner) checkDisturbed(ctx context.Context, packages []string, tests []testFunc) error {
	dir := r.tempDir()
	defer os.RemoveAll(dir)
	for _, p := range packages {
		names := namesOf(tests, func(t testFunc) bool { return t.pkg == p && t.isDisturbed() })
		if len(names) == 0 {
			continue
		}
		if out, err := r.goTest(ctx, dir, p, names).CombinedOutput(); err != nil {
			return fmt.Errorf("tests of %s fail without a mutant:\n%s", p, out)
		}
	}
	return nil
}

// goTest returns the command that runs the named tests of a package.
func (r *runner) goTest(ctx context.Context, dir, pkg string, names []string, flags ...string) *exec.Cmd {
	args := []string{"test", "-failfast", "-vet=off", "-p=1", "-timeout", (10 * r.timeLimit).String(), "-run", "^(" + strings.Join(names, "|") + ")$"}
	cmd := r.command(ctx, dir, "go", append(append(args, flags...), ".")...)
	cmd.Dir = filepath.Join(r.root, pkg)
	return cmd
}

// tempDir returns the name of a new directory. If it cannot make one, the disk is
// full or somebody removed r.dir, and there is nothing left to do.
func (r *runner) tempDir() string {
	dir, err := os.MkdirTemp(r.dir, "")
	if err == nil {
		err = os.Chmod(dir, 0o777|os.ModeSticky)
	}
	if err != nil {
		panic(err)
	}
	return dir
}

// writeOverlay writes files and the argument for go build -overlay that puts them in
// place of the files with these names.
func (r *runner) writeOverlay(dir string, files map[string][]byte) string {
	replace := map[string]string{}
	for name, text := range files {
		replace[name] = filepath.Join(dir, fmt.Sprint(len(replace), ".go"))
		if err := os.WriteFile(replace[name], text, 0o600); err != nil {
			panic(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		panic(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		panic(err)
	}
	return overlay
}

// command returns a command that sees dir as home and temporary directory: a mutant
// may remove any file whose name a test knows.
func (r *runner) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(slices.Clone(r.env), "HOME="+dir, "TMPDIR="+dir)
	cmd.WaitDelay = 10 * time.Second // a mutant's child may hold the output open
	return cmd
}
