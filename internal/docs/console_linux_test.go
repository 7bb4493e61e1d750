package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/secretservice"
)

// A step is something that a page has its reader do, and what the page says
// comes of it.
type step struct {
	command string
	want    string // "" if the page does not show it
}

// A page shows its commands in blocks of console. What it takes for granted, it
// says in comments that its readers do not see:
//
//	<!-- run: COMMAND -->
//	<!-- file: PATH --> before a block that is what the file holds
var stepOrFile = regexp.MustCompile("(?ms)^<!-- run: (?P<run>.*?) -->$" +
	"|^<!-- file: (?P<path>\\S+) -->\n+```\\w*\n(?P<text>.*?)^```$" +
	"|^```console\n(?P<console>.*?)^```$")

func steps(page string) []step {
	var all []step
	for _, m := range stepOrFile.FindAllStringSubmatch(page, -1) {
		run, path, text, console := m[1], m[2], m[3], m[4]
		switch {
		case run != "":
			all = append(all, step{command: run})
		case path != "":
			all = append(all, step{command: fmt.Sprintf("mkdir -p \"$(dirname %[1]s)\" && cat >%[1]s <<'END_OF_FILE'\n%[2]sEND_OF_FILE", path, text)})
		default:
			all = append(all, consoleSteps(console)...)
		}
	}
	return all
}

func consoleSteps(console string) []step {
	var all []step
	for part := range strings.SplitSeq("\n"+console, "\n$ ") {
		lines := strings.SplitAfter(part, "\n")
		n := 1
		for n < len(lines) && strings.HasSuffix(lines[n-1], "\\\n") {
			n++
		}
		if command := strings.TrimSpace(strings.Join(lines[:n], "")); command != "" {
			all = append(all, step{command, strings.TrimSpace(strings.Join(lines[n:], ""))})
		}
	}
	return all
}

// TestConsole runs every command that the pages show and wants what they show:
// on a machine with an unlocked keychain, and with registries that have the
// names they have on the pages.
func TestConsole(t *testing.T) {
	bin := build(t)
	ran := 0
	for name, text := range pages(t) {
		do := steps(text)
		if len(do) == 0 {
			continue
		}
		ran++
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			got := runSteps(t, bin, filepath.Base(name), do)
			for i, s := range do {
				checkStep(t, s, got[i])
			}
		})
	}
	if ran == 0 {
		t.Error("no page shows a command any more: mend this test")
	}
}

// checkStep lets a command fail only where the page shows how.
func checkStep(t *testing.T, s step, got outcome) {
	t.Helper()
	if s.want == "" {
		if got.status != "0" {
			t.Errorf("$ %s\nexit code %s:\n%s", s.command, got.status, got.output)
		}
		return
	}
	if diff := cmp.Diff(plain(s.want), plain(got.output)); diff != "" {
		t.Errorf("$ %s\n(-page +real):\n%s\nreally:\n%s", s.command, diff, got.output)
	}
}

// What differs from one run to the next.
var changing = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), "FINGERPRINT"},
	{regexp.MustCompile(`[A-Za-z0-9+/_=:-]{60,}`), "BASE64"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "TOKEN"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "ADDRESS"},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`), "TIME"},
	{regexp.MustCompile(`20[0-9]{2}-[0-9T:.-]+Z`), "DATE"},
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

type outcome struct{ output, status string }

var stepEnd = regexp.MustCompile(`(?s)(.*?)<<<exit (\d+)>>>\n`)

// runSteps runs all commands of a page in one shell, as its reader would.
func runSteps(t *testing.T, bin, page string, do []step) []outcome {
	t.Helper()
	session := secretservice.Start(t)
	machine, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	home := machine + "/home/me"
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("exec 2>&1\n")
	for _, s := range do {
		fmt.Fprintf(&script, "eval '%s'\necho \"<<<exit $?>>>\"\n", strings.ReplaceAll(s.command, "'", `'\''`))
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir = home
	if page == "README.md" {
		cmd.Dir = checkout // its reader is in the checkout
	}
	cmd.Env = append(session.Env(), "HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"),
		"CHECKOUT="+checkout, "GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"))
	cmd.Env = append(cmd.Env, startInternet(t, machine)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := strings.ReplaceAll(string(out), machine, "")
	var all []outcome
	for _, m := range stepEnd.FindAllStringSubmatch(text, -1) {
		all = append(all, outcome{strings.TrimSpace(m[1]), m[2]})
	}
	if len(all) != len(do) {
		t.Fatalf("%d of %d commands ended:\n%s", len(all), len(do), out)
	}
	return all
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
