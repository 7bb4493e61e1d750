package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
)

// TestFailingServerEndsCommand wants the error of the server, and no command that goes on
// without it.
func TestFailingServerEndsCommand(t *testing.T) {
	broken := errors.New("broken")
	a := &app{stdout: io.Discard, stderr: io.Discard}
	for _, command := range []string{"exec sleep 1000", "trap 'exit 7' INT; sleep 1000 & wait"} {
		err := a.runBeside(t.Context(), []string{"sh", "-c", command}, nil, func(context.Context) error { return broken })
		if !errors.Is(err, broken) || errors.As(err, new(commandError)) {
			t.Errorf("%s: got %v, want %v", command, err, broken)
		}
	}
}

// TestKilledProxyLeavesNoCommand kills the proxy, and wants the command beside it to end:
// the command has the other end of the pipe.
func TestKilledProxyLeavesNoCommand(t *testing.T) {
	cmd := exec.Command("countersign", "proxy", "--to", "https://registry.example.com", "--", "sh", "-c", "trap '' TERM; echo started; exec sleep 1000")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), endAtOnce)
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != "started" {
		t.Fatalf("the command did not start: %q", lines.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if lines.Scan() {
		t.Errorf("more output: %s", lines.Text())
	}
	_ = cmd.Wait() // it was killed
}
