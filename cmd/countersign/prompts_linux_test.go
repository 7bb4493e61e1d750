package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
)

// TestOpenPromptIsTold has a prompt of gnome-keyring open. The command says so in one
// line while it waits, also with --quiet, and when its time is up.
func TestOpenPromptIsTold(t *testing.T) {
	secretservice.Require(t, "Xvfb", "xdotool")
	display := secretservice.StartDisplay(t)
	s := secretservice.StartBus(t, display.Env())
	s.AddPrompter()
	s.StartKeyring("password")
	sh := commandShell{t, t.TempDir(), s.Env()}
	writeFile(t, filepath.Join(sh.dir, "config.toml"), "[keyring]\nprompt_timeout = \"2m\"\n")
	sh.env = append(sh.env, "COUNTERSIGN_CONFIG="+filepath.Join(sh.dir, "config.toml"))
	want := sh.run(0, "", "countersign", "key", "generate", "keyring:ollama")
	s.Lock()

	start := func(args ...string) (cmd *exec.Cmd, errs *bufio.Reader, out *strings.Builder) {
		cmd = exec.CommandContext(t.Context(), "countersign", args...)
		cmd.Dir, cmd.Env, out = sh.dir, sh.env, new(strings.Builder)
		cmd.Stdout = out
		pipe, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, bufio.NewReader(pipe), out
	}
	const line = "countersign: waiting for an answer to the prompt of secret-service for keyring:ollama\n"

	cmd, errs, out := start("key", "show", "--quiet", "keyring:ollama")
	if told, err := errs.ReadString('\n'); err != nil || told != line {
		t.Fatalf("while it waits, the command tells %q, %v", told, err)
	}
	display.Answer("password")
	after, err := io.ReadAll(errs)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || len(after) > 0 || out.String() != want {
		t.Errorf("after the answer: %v, %q on stderr, %q on stdout; want %q", err, after, out, want)
	}

	s.Lock() // the last step: gnome-keyring may end together with the client of an open prompt
	told := untilPrompt(t, line, func(timeout string) string {
		cmd, errs, _ := start("key", "show", "--timeout", timeout, "keyring:ollama")
		told, err := io.ReadAll(errs)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		return string(told)
	})
	ended := regexp.MustCompile(`^countersign: stopped after \d+s \(--timeout\), while the prompt of secret-service for keyring:ollama was open: [^\n]+\n`)
	rest, found := strings.CutPrefix(told, line)
	if !found || !ended.MatchString(rest) {
		t.Errorf("when its time is up, the command tells:\n%s", told)
	}
}

// untilPrompt runs a command with longer and longer time limits until the output
// contains text, and returns the last output. On a busy machine, a short limit may end
// the command before its prompt is open.
func untilPrompt(t *testing.T, text string, run func(timeout string) string) (output string) {
	t.Helper()
	for _, timeout := range []string{"2s", "8s", "32s"} {
		if output = run(timeout); strings.Contains(output, text) {
			break
		}
	}
	return output
}

// A prompt that is answered at once is worth no line.
func TestShortPromptIsNotTold(t *testing.T) {
	p := &prompts{print: func(line string) { t.Errorf("told %q", line) }}
	p.event(signer.PromptEvent{Key: "keyring:x", Store: "kwallet", State: signer.PromptOpened})
	if got := p.unanswered(); got != "the prompt of kwallet for keyring:x" {
		t.Errorf("while it is open: %q", got)
	}
	p.event(signer.PromptEvent{Key: "keyring:x", Store: "kwallet", State: signer.PromptAllowed})
	if got := p.unanswered(); got != "" || p.notice != nil {
		t.Errorf("after the answer: %q, and a line follows", got)
	}
}

// TestOpenTerminalPromptIsTold has the passphrase of a key file open on the terminal.
func TestOpenTerminalPromptIsTold(t *testing.T) {
	sh := commandShell{t, t.TempDir(), os.Environ()}
	t.Chdir(sh.dir)
	writeFile(t, "passphrase", "correct")
	writeFile(t, "message", "POST,/api/me?ts=1700000000")
	sh.run(0, "", "countersign", "key", "generate", "--new-passphrase-file", "passphrase", "file:locked")
	const told = "while the prompt at the terminal for file:locked was open"
	screen := untilPrompt(t, told, func(timeout string) string {
		p := sit(t, "sh", "-c", "exec countersign sign --timeout "+timeout+" --key file:locked <message")
		p.await("stopped after " + timeout + " (--timeout)")
		_ = p.cmd.Wait()
		return p.screen.String()
	})
	if !strings.Contains(screen, told) || strings.Contains(screen, "waiting for an answer") {
		t.Errorf("when its time is up, the screen shows:\n%s", screen)
	}
}
