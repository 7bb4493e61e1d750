// Command mutants plants mistakes in the files that carry security, one at a
// time, and lists the mistakes that no test notices. Each planted mistake is a
// mutant; a mutant that no test notices has survived. docs/mutants.md explains
// how to read the list and holds the survivors that change nothing.
//
// Run it from anywhere in the repository:
//
//	go run ./scripts/mutants                      all mutants: takes hours
//	go run ./scripts/mutants challenge/scope.go   the mutants of some files
//	go run ./scripts/mutants -sample 40           a fixed fortieth of all mutants
//	go run ./scripts/mutants -sample 40 -part 1   another fortieth, up to -part 39
//	go run ./scripts/mutants -list                only the list, without tests
//
// The files themselves are never changed: the go command reads each mutant
// through an overlay. Exit status: 0 if every survivor is explained, 1 if not, 2
// if the tool could not do its work.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// explanationsPage has the table of explained survivors.
const explanationsPage = "docs/mutants.md"

func main() {
	parts := flag.Int("sample", 1, "try only a fixed part of the mutants: one of every `N`")
	part := flag.Int("part", 0, "try the part with this `number` instead, from 0 to N-1")
	list := flag.Bool("list", false, "list the mutants and do not test them")
	jobs := flag.Int("jobs", runtime.GOMAXPROCS(0), "number of mutants to test at the same time")
	flag.Parse()
	if *parts < 1 || *part < 0 || *part >= *parts {
		fmt.Fprintln(os.Stderr, "mutants: -sample is at least 1, and -part is less than it")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, options{sample: sample{parts: *parts, part: *part}, list: *list, jobs: *jobs, files: flag.Args()})
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

type options struct {
	sample sample
	list   bool
	jobs   int
	files  []string // empty means all
}

// run reports whether every survivor is explained.
func run(ctx context.Context, o options) (bool, error) {
	root, err := moduleRoot()
	if err != nil {
		return false, err
	}
	targets, err := chooseTargets(allTargets(), o.files)
	if err != nil {
		return false, err
	}
	all, err := generateAll(root, targets, o.sample)
	if err != nil {
		return false, err
	}
	page, err := os.ReadFile(filepath.Join(root, explanationsPage))
	if err != nil {
		return false, err
	}
	explained, err := parseExplanations(string(page))
	if err != nil {
		return false, fmt.Errorf("%s: %w", explanationsPage, err)
	}
	if unknown := unmatched(explained, all.ids, targets); len(unknown) > 0 {
		return false, fmt.Errorf("%s explains mutants that do not exist (any more): remove or correct these rows:\n%s",
			explanationsPage, strings.Join(unknown, "\n"))
	}
	fmt.Printf("%d mutants in %d files\n", all.size(), len(targets))
	if o.list {
		for _, g := range all.groups {
			for _, m := range g.mutants {
				fmt.Println(m)
			}
		}
		return true, nil
	}
	return testAll(ctx, root, all, explained, o)
}

func testAll(ctx context.Context, root string, all *population, explained map[string]string, o options) (bool, error) {
	r, err := newRunner(root, o.jobs)
	if err != nil {
		return false, err
	}
	defer r.close()
	start := time.Now()
	counts := map[outcome]int{}
	ok := true
	report := func(m mutant, result outcome) {
		if ctx.Err() != nil {
			return // the tests were interrupted
		}
		counts[result]++
		switch reason, isExplained := explained[m.id()]; {
		case result == survived && isExplained:
			fmt.Printf("explained %v: %s\n", m, reason)
		case result == survived:
			fmt.Printf("SURVIVED %v\n", m)
			ok = false
		case isExplained:
			fmt.Printf("EXPLAINED IN VAIN %v: a test notices it: remove the row from %s\n", m, explanationsPage)
			ok = false
		}
	}
	for _, g := range all.groups {
		if err := r.testGroup(ctx, g, report); err != nil {
			return false, err
		}
	}
	fmt.Printf("%d killed, %d survived, %v\n", counts[killed], counts[survived], time.Since(start).Round(time.Second))
	return ok, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// chooseTargets returns the targets of the named files, or all if none is named.
func chooseTargets(all []target, files []string) ([]target, error) {
	if len(files) == 0 {
		return all, nil
	}
	var chosen []target
	for _, file := range files {
		i := slices.IndexFunc(all, func(t target) bool { return t.file == filepath.ToSlash(filepath.Clean(file)) })
		if i < 0 {
			return nil, fmt.Errorf("%s is not in the table of scripts/mutants/targets.go", file)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
