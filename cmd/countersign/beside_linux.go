package main

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the system kill the process of cmd if this process ends without doing
// it, because it was killed. SIGTERM would not do: a shell with a terminal ignores it.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
