package main

import (
	"bytes"
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

// timeLimit is the time that go test gives to one package. A mutant that exceeds it
// hangs, and people notice a test run that hangs.
const timeLimit = "2m"

type outcome int

const (
	survived outcome = iota
	killed
	timedOut
)

// A runner runs tests with a mutant in place of its file.
type runner struct {
	root string
	dir  string   // for everything that is written
	env  []string // of the tests

	timeLimit string // as go test -timeout takes it
}

func newRunner(root string) (*runner, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	r := &runner{root: root, dir: dir, env: os.Environ(), timeLimit: timeLimit}
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

// checkUnchanged returns an error unless the tests of all mutants pass without a
// mutant: otherwise every mutant would count as killed.
func (r *runner) checkUnchanged(ctx context.Context, mutants []mutant) error {
	dir := filepath.Join(r.dir, "unchanged")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var runs []testRun
	for _, m := range mutants {
		runs = append(runs, m.target.testRuns()...)
	}
	slices.SortFunc(runs, func(a, b testRun) int { return strings.Compare(a.pkg+a.run, b.pkg+b.run) })
	for _, run := range slices.Compact(runs) {
		if out, err := r.test(ctx, run, "", dir); err != nil {
			return fmt.Errorf("the tests of %s fail without a mutant:\n%s", run.pkg, out)
		}
	}
	return nil
}

// testMutants tests several mutants at the same time and calls report with each
// outcome, one call after the other.
func (r *runner) testMutants(ctx context.Context, mutants []mutant, jobs int, report func(mutant, outcome)) {
	next := make(chan int)
	var mu sync.Mutex // for report
	var group sync.WaitGroup
	for range jobs {
		group.Go(func() {
			for i := range next {
				result := r.testMutant(ctx, i, mutants[i])
				mu.Lock()
				report(mutants[i], result)
				mu.Unlock()
			}
		})
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	group.Wait()
}

// testMutant runs the tests until one fails.
func (r *runner) testMutant(ctx context.Context, number int, m mutant) outcome {
	dir := filepath.Join(r.dir, fmt.Sprint(number))
	defer os.RemoveAll(dir)
	overlay, err := r.writeOverlay(dir, m)
	if err != nil {
		panic(err) // the disk is full, or somebody removed the directory
	}
	for _, run := range m.target.testRuns() {
		if ctx.Err() != nil {
			return survived
		}
		out, err := r.test(ctx, run, overlay, dir)
		switch {
		case err == nil:
		case bytes.Contains(out, []byte("panic: test timed out")):
			return timedOut
		default:
			return killed
		}
	}
	return survived
}

// writeOverlay writes the mutant and the file for go test -overlay, and returns the name of that file.
func (r *runner) writeOverlay(dir string, m mutant) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	source := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(source, m.source, 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{
		"Replace": map[string]string{filepath.Join(r.root, filepath.FromSlash(m.target.file)): source},
	})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// test runs tests of one package. A mutant may remove any file that a test knows,
// so home and temporary directories are in dir.
func (r *runner) test(ctx context.Context, run testRun, overlay, dir string) ([]byte, error) {
	args := []string{"test", "-failfast", "-vet=off", "-p=1", "-timeout", r.timeLimit}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if run.run != "" {
		args = append(args, "-run", run.run)
	}
	if run.skip != "" {
		args = append(args, "-skip", run.skip)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+run.pkg)...)
	cmd.Dir = r.root
	cmd.Env = append(slices.Clone(r.env), "HOME="+dir, "TMPDIR="+dir)
	cmd.WaitDelay = 10 * time.Second // a mutant's child may hold the output open
	return cmd.CombinedOutput()
}
