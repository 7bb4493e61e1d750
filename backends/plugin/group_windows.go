package plugin

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A processGroup is the job object of a program. Its methods are safe for
// concurrent use after start.
type processGroup struct {
	mu      sync.Mutex
	job     windows.Handle
	process windows.Handle
	ended   bool
}

// start starts the program suspended, so that it cannot start another process before
// it is in the job.
func (g *processGroup) start(cmd *exec.Cmd) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		windows.CloseHandle(job)
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED | windows.CREATE_NO_WINDOW}
	if err := cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return err
	}
	const access = windows.PROCESS_SET_QUOTA | windows.PROCESS_TERMINATE | windows.PROCESS_SUSPEND_RESUME | windows.SYNCHRONIZE
	process, err := windows.OpenProcess(access, false, uint32(cmd.Process.Pid))
	if err == nil {
		if err = windows.AssignProcessToJobObject(job, process); err == nil {
			err = resume(process)
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		windows.CloseHandle(process)
		windows.CloseHandle(job)
		return err
	}
	g.job, g.process, g.ended = job, process, false
	return nil
}

var ntResumeProcess = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtResumeProcess")

func resume(process windows.Handle) error {
	if status, _, _ := ntResumeProcess.Call(uintptr(process)); status != 0 {
		return windows.NTStatus(status)
	}
	return nil
}

// kill ends all processes of the job.
func (g *processGroup) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		_ = windows.TerminateJobObject(g.job, 1)
	}
}

// awaitExit waits until the program has ended.
func (g *processGroup) awaitExit() {
	_, _ = windows.WaitForSingleObject(g.process, windows.INFINITE)
}

// end kills the rest of the job.
func (g *processGroup) end() {
	g.kill()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.ended = true
		windows.CloseHandle(g.process)
		windows.CloseHandle(g.job)
	}
}

// rootDir is the working directory of programs.
func rootDir() string { return os.Getenv("SYSTEMDRIVE") + `\` }
