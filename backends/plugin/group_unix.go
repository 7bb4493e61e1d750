//go:build unix

package plugin

import (
	"os/exec"
	"sync"
	"syscall"
)

// A processGroup is the process group of a program. Its methods are safe for
// concurrent use after start.
type processGroup struct {
	mu    sync.Mutex
	pid   int // of the program and of its group
	ended bool
}

func (g *processGroup) start(cmd *exec.Cmd) error {
	g.mu.Lock() // kill may be called before Start returns
	defer g.mu.Unlock()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		g.ended = true
		return err
	}
	g.pid = cmd.Process.Pid
	return nil
}

// kill kills the program and all processes of its group. It does nothing after end,
// because the number may then name another group.
func (g *processGroup) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended && g.pid > 0 {
		_ = syscall.Kill(-g.pid, syscall.SIGKILL) // ESRCH: the group is empty
		_ = syscall.Kill(g.pid, syscall.SIGKILL)  // the program may have changed its group
	}
}

// awaitExit waits until the program has ended. It does not reap the program, whose
// number so stays its own.
func (g *processGroup) awaitExit() { awaitExit(g.pid) }

// end kills the rest of the group.
func (g *processGroup) end() {
	g.kill()
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
}

// rootDir is the working directory of programs.
func rootDir() string { return "/" }
