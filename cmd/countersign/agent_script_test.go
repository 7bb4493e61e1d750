package main

import (
	"bufio"
	"os/exec"

	"github.com/rogpeppe/go-internal/testscript"
)

// startAgent starts an ssh-agent and sets SSH_AUTH_SOCK to the path of its socket.
func startAgent(ts *testscript.TestScript, _ bool, _ []string) {
	socket := ts.MkAbs("agent.sock")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_, err = bufio.NewReader(out).ReadString('\n') // it writes after it listens
	ts.Check(err)
	ts.Setenv("SSH_AUTH_SOCK", socket)
}
