package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
)

// A home is a machine's with one key, and no keychain.
type home struct{ dir string }

func newHome(t *testing.T) home {
	t.Helper()
	h := home{t.TempDir()}
	if out, err := h.command(t, "key", "generate", "file:~/.ollama/id_ed25519").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return h
}

// command is the real one, which TestMain has put on the path.
func (h home) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "countersign", args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "USERPROFILE=" + h.dir,
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(h.dir, "no-bus"), endAtOnce,
	}
	return cmd
}

// A waiting is a "countersign connect" that has printed the address of its page.
type waiting struct {
	cmd    *exec.Cmd
	page   string
	out    io.Reader // what it prints after that
	stderr bytes.Buffer
}

func startConnect(t *testing.T, h home, r *challengetest.Registry) *waiting {
	t.Helper()
	w := &waiting{cmd: h.command(t, "connect", "--timeout", "2m", r.URL)}
	w.cmd.Stderr = &w.stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	w.out = lines
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%v, %v\n%s", err, w.cmd.Wait(), &w.stderr)
	}
	w.page = strings.TrimSpace(line)
	return w
}

// end waits for the end and returns what was printed and the exit code.
func (w *waiting) end(t *testing.T) (string, int) {
	t.Helper()
	out, err := io.ReadAll(w.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out), w.cmd.ProcessState.ExitCode()
}

func signInRegistry(t *testing.T) *challengetest.Registry {
	t.Helper()
	r, err := challengetest.Start(challengetest.Config{SignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestConnectInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
	w := startConnect(t, newHome(t), signInRegistry(t))
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	out, code := w.end(t)
	if code != exitFailed || out != "" || !strings.Contains(w.stderr.String(), "stopped waiting, interrupted: the key is not connected") {
		t.Errorf("exit code %d, then %q on stdout and %q on stderr", code, out, &w.stderr)
	}
}
