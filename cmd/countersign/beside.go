package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// endTime is the time that a command has to end after an interrupt. Then it is killed.
const endTime = 5 * time.Second

// runBeside serves while it runs a command that finds the server in environment, and
// ends both together. If serve fails, the command is interrupted, and the error is that of
// serve.
func (a *app) runBeside(ctx context.Context, command, environment []string, serve func(context.Context) error) error {
	serving, end := context.WithCancel(ctx)
	running, interrupt := context.WithCancel(ctx)
	defer interrupt()
	served := make(chan error, 1)
	go func() {
		err := serve(serving)
		if err != nil {
			interrupt()
		}
		served <- err
	}()
	cmd := exec.CommandContext(running, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, a.stdout, a.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endTime
	endWithParent(cmd)
	runtime.LockOSThread() // Linux ends the command with the thread that started it
	err := cmd.Run()
	runtime.UnlockOSThread()
	end()
	if failed := <-served; failed != nil {
		return failed
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return commandError{exit}
	}
	return err
}

// A commandError is the failure of a command that runBeside ran. Its exit code is that
// of countersign.
type commandError struct{ exit *exec.ExitError }

func (e commandError) Error() string { return "the command failed: " + e.exit.Error() }
