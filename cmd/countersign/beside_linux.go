package main

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the system send SIGTERM to the process of cmd if this process ends
// without doing it, because it was killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
