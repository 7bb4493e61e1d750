package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runHelp runs the command with stdout and returns its exit code and stderr.
func runHelp(t *testing.T, stdout *os.File, args ...string) (code int, stderr string) {
	t.Helper()
	t.Setenv("COUNTERSIGN_CONFIG", os.DevNull)
	var errors bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: stdout, stderr: &errors}
	return a.execute(t.Context(), args), errors.String()
}

// TestHelpNamesExitCodes compares the help with the table of docs/command.md, and
// wants the variables.
func TestHelpNamesExitCodes(t *testing.T) {
	page, err := os.ReadFile("../../docs/command.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^\| (\d) \|`).FindAllSubmatch(page, -1)
	if len(codes) != exitRejected+1 {
		t.Fatalf("the page has %d exit codes", len(codes))
	}
	for _, code := range codes {
		if !regexp.MustCompile(`(?m)^  ` + string(code[1]) + `   \w`).MatchString(rootHelp) {
			t.Errorf("--help lacks exit code %s", code[1])
		}
	}
	for _, variable := range []string{"COUNTERSIGN_KEY", "COUNTERSIGN_CONFIG", "OLLAMA_KEY", "OLLAMA_KEY_FILE", "OLLAMA_KEY_PASSPHRASE", "CREDENTIALS_DIRECTORY", "HTTPS_PROXY"} {
		if !strings.Contains(rootHelp, "\n  "+variable+" ") {
			t.Errorf("--help lacks the variable %s", variable)
		}
	}
}

// TestHelpNamesNoPage wants that no help names a file of the source: a user of the
// binary has none.
func TestHelpNamesNoPage(t *testing.T) {
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		text := cmd.Short + cmd.Long + cmd.Example + cmd.UsageString()
		if page := regexp.MustCompile(`docs/|\S+\.md\b`).FindString(text); page != "" {
			t.Errorf("the help of %s names %s", cmd.CommandPath(), page)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check((&app{stdout: io.Discard}).root())
}

// TestHelpOfUnknownTopics wants a usage error and nothing on stdout.
func TestHelpOfUnknownTopics(t *testing.T) {
	for _, args := range [][]string{{"help", "nosuch"}, {"help", "keychain#nosuch"}, {"help", "key", "nosuch"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		null, err := os.Create(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		code, stderr := runHelp(t, null, args...)
		null.Close()
		if code != exitUsage || !strings.Contains(stderr, "Try: countersign") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
}

// TestHelpOnFullDisk writes every text of cobra to a device without space.
func TestHelpOnFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here:", err)
	}
	defer full.Close()
	for _, args := range [][]string{
		{},
		{"--help"},
		{"help"},
		{"help", "key"},
		{"key"},
		{"key", "copy", "--help"},
		{"--version"},
		{"completion"},
		{"completion", "bash"},
		{"completion", "zsh"},
		{"completion", "fish"},
		{"completion", "powershell"},
	} {
		code, stderr := runHelp(t, full, args...)
		if code != exitFailed || !strings.Contains(stderr, "writing to stdout") || strings.Contains(stderr, "Try:") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Skip("this test binary has no build information")
	}
	if got := version(); !strings.Contains(got, info.GoVersion) || !strings.Contains(got, info.Main.Version) {
		t.Errorf("got %q", got)
	}
}

// TestHelpTopics wants a page, a section and the list of topics.
func TestHelpTopics(t *testing.T) {
	for topic, want := range map[string]string{
		"keychain":        "# Keys in the operating system's keychain\n",
		"keychain#no-bus": "### no-bus\n",
		"exit-codes":      "## Exit codes\n",
		"environment":     "## Environment variables\n",
		"key":             "Make, show and move keys\n", // the command
	} {
		out, err := os.Create(t.TempDir() + "/out")
		if err != nil {
			t.Fatal(err)
		}
		code, stderr := runHelp(t, out, "help", topic)
		out.Close()
		text, err := os.ReadFile(out.Name())
		if err != nil || code != exitDone || stderr != "" || !strings.HasPrefix(string(text), want) {
			t.Errorf("help %s: exit code %d, %s%v\n%.200s", topic, code, stderr, err, text)
		}
	}
}
