// Command gotest runs "go test" with its arguments and shows, after the results, which
// tests were skipped and why. "go test" alone shows skipped tests only among thousands of
// lines of its flag -v.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	r := &report{out: os.Stdout, output: map[test][]string{}, skipped: map[string][]test{}}
	r.read(out)
	r.printSkipped()
	if err := cmd.Wait(); err != nil {
		os.Exit(1)
	}
}

// An event is a line of "go test -json" (go doc test2json).
type event struct{ Action, Package, Test, Output string }

type test struct{ pkg, name string }

// A report shows the results of packages and the output of tests that failed.
type report struct {
	out     io.Writer
	output  map[test][]string // of tests that have not ended
	skipped map[string][]test // by reason
}

func (r *report) read(events io.Reader) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprint(r.out, line) // not an event: a message of go itself
		} else {
			r.add(e)
		}
		if err != nil {
			return
		}
	}
}

func (r *report) add(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		if t.name == "" {
			if e.Output != "PASS\n" {
				fmt.Fprint(r.out, e.Output)
			}
			return
		}
		r.output[t] = append(r.output[t], e.Output)
	case "fail":
		fmt.Fprint(r.out, strings.Join(r.output[t], ""))
		delete(r.output, t)
	case "skip":
		if t.name != "" {
			reason := reasonOf(r.output[t])
			r.skipped[reason] = append(r.skipped[reason], t)
		}
		delete(r.output, t)
	case "pass":
		delete(r.output, t)
	}
}

var (
	// place is the file and the line before the text of a test.
	place = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

	// command is the line of a script that skips the rest of it.
	command = regexp.MustCompile(`^> .*\bskip '(.*)'$`)

	// mark is the beginning of some reasons.
	mark = regexp.MustCompile(`^(SKIPPED|NOT TESTED): `)
)

// reasonOf returns the last text that a skipped test wrote.
func reasonOf(output []string) string {
	reason := "no reason given"
	for _, line := range output {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") {
			reason = command.ReplaceAllString(place.ReplaceAllString(text, ""), "$1")
		}
	}
	return mark.ReplaceAllString(reason, "")
}

// printSkipped prints each reason with its tests.
func (r *report) printSkipped() {
	n := 0
	for _, tests := range r.skipped {
		n += len(tests)
	}
	if n == 0 {
		fmt.Fprintln(r.out, "\nNo test was skipped.")
		return
	}
	fmt.Fprintf(r.out, "\nSkipped: %d tests, for these reasons:\n", n)
	for _, reason := range slices.Sorted(maps.Keys(r.skipped)) {
		fmt.Fprintf(r.out, "  %s\n", reason)
		byPackage := map[string][]string{}
		for _, t := range r.skipped[reason] {
			byPackage[t.pkg] = append(byPackage[t.pkg], t.name)
		}
		for _, pkg := range slices.Sorted(maps.Keys(byPackage)) {
			slices.Sort(byPackage[pkg])
			fmt.Fprintf(r.out, "    %s: %s\n", pkg, strings.Join(byPackage[pkg], ", "))
		}
	}
}
