//go:build !unix

package terminal

import (
	"os"

	"golang.org/x/term"
)

const ttyName = "CONIN$" // the console on Windows

// hide returns the function that gives the console its echo back.
func hide(tty *os.File) (restore func(discard bool), err error) {
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return nil, err
	}
	return func(bool) { _ = term.Restore(int(tty.Fd()), before) }, nil
}

// readHidden turns off the echo while it reads.
func readHidden(tty *os.File) ([]byte, error) { return term.ReadPassword(int(tty.Fd())) }
