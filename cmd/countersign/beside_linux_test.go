package main

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
)

// TestKilledProxyLeavesNoCommand kills the proxy, and wants the command beside it to end:
// the command has the other end of the pipe.
func TestKilledProxyLeavesNoCommand(t *testing.T) {
	cmd := exec.Command("countersign", "proxy", "--to", "https://registry.example.com", "--", "sh", "-c", "echo started; exec sleep 1000")
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
