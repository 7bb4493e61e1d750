// Package pages runs the commands that a page of the documentation shows, and compares
// their output with the page.
//
// A page shows its commands in blocks of console. Commands that its readers need not see,
// and blocks that are files or that go on, are marked by comments:
//
//	<!-- run: COMMAND -->
//	<!-- file: PATH --> before a block that is the content of the file
//	<!-- background: LOG --> before a block of commands that run until the page ends
package pages

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A Step is a command that a page has its reader run.
type Step struct {
	Command string
	Want    string // the output that the page shows, or ""
}

var block = regexp.MustCompile("(?ms)^<!-- run: (?P<run>.*?) -->$" +
	"|^<!-- file: (?P<path>\\S+) -->\n+```\\w*\n(?P<text>.*?)^```$" +
	"|^<!-- background: (?P<log>\\S+) -->\n+```\\w*\n(?P<commands>.*?)^```$" +
	"|^```console\n(?P<console>.*?)^```$")

// Steps returns the commands of a page in their order.
func Steps(page string) []Step {
	var all []Step
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		run, path, text, log, commands, console := m[1], m[2], m[3], m[4], m[5], m[6]
		switch {
		case run != "":
			all = append(all, Step{Command: run})
		case path != "":
			all = append(all, Step{Command: fmt.Sprintf("mkdir -p \"$(dirname %[1]s)\" && cat >%[1]s <<'END_OF_FILE'\n%[2]sEND_OF_FILE", path, text)})
		case log != "":
			for command := range strings.Lines(strings.ReplaceAll(commands, "\\\n", "")) {
				all = append(all, Step{Command: fmt.Sprintf("%s >>%s 2>&1 &", strings.TrimSpace(command), log)})
			}
		default:
			all = append(all, consoleSteps(console)...)
		}
	}
	return all
}

func consoleSteps(console string) []Step {
	var all []Step
	for part := range strings.SplitSeq("\n"+console, "\n$ ") {
		lines := strings.SplitAfter(part, "\n")
		n := 1
		for n < len(lines) && strings.HasSuffix(lines[n-1], "\\\n") {
			n++
		}
		if command := strings.TrimSpace(strings.Join(lines[:n], "")); command != "" {
			all = append(all, Step{command, strings.TrimSpace(strings.Join(lines[n:], ""))})
		}
	}
	return all
}

var stepEnd = regexp.MustCompile(`(?s)(.*?)<<<exit (\d+)>>>\n`)

// Run runs all steps in one shell, as a reader would, and wants the output that the page
// shows. A command may fail only where the page shows its output. In the output, machine
// is replaced by "": it is the folder that stands for the root of the reader's disk. The
// last argument of shell is the script for bash. Programs that the steps started end with them.
func Run(t *testing.T, shell *exec.Cmd, machine string, steps []Step) {
	t.Helper()
	var script strings.Builder
	script.WriteString("exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n")
	for _, s := range steps {
		fmt.Fprintf(&script, "eval '%s'\necho \"<<<exit $?>>>\"\n", strings.ReplaceAll(s.Command, "'", `'\''`))
	}
	shell.Args = append(shell.Args, script.String())
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ends := stepEnd.FindAllStringSubmatch(strings.ReplaceAll(string(out), machine, ""), -1)
	if len(ends) != len(steps) {
		t.Fatalf("%d of %d commands ended:\n%s", len(ends), len(steps), out)
	}
	for i, s := range steps {
		output, status := strings.TrimSpace(ends[i][1]), ends[i][2]
		if s.Want == "" {
			if status != "0" {
				t.Errorf("$ %s\nexit code %s:\n%s", s.Command, status, output)
			}
			continue
		}
		if diff := cmp.Diff(plain(s.Want), plain(output)); diff != "" {
			t.Errorf("$ %s\n(-page +real):\n%s\nreally:\n%s", s.Command, diff, output)
		}
	}
}

// changing are the parts of an output that differ from one run to the next.
var changing = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), "FINGERPRINT"},
	{regexp.MustCompile(`[A-Za-z0-9+/_=:-]{60,}`), "BASE64"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "TOKEN"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "ADDRESS"},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`), "TIME"},
	{regexp.MustCompile(`20[0-9]{2}-[0-9T:.-]+(Z| [0-9:]{8} UTC)`), "DATE"},
	{regexp.MustCompile(`name=[^&]*&`), "name=HOST&"},
	{regexp.MustCompile(`[ \t]+`), " "}, // widths of columns
	{regexp.MustCompile(` ?\n`), "\n"},
}

func plain(text string) []string {
	for _, c := range changing {
		text = c.pattern.ReplaceAllLiteralString(text, c.name)
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}
