// Package terminaltest makes terminals for tests.
package terminaltest

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Open returns both ends of a new terminal: screen is what a person sees and types
// on, program is the end that a program has. The test closes program.
func Open(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, program
}

// Echoes reports whether the terminal shows the characters that are typed. It
// takes either end.
func Echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	return state(t, terminal).Lflag&unix.ECHO != 0
}

// State returns the settings of the terminal.
func State(t *testing.T, terminal *os.File) unix.Termios {
	t.Helper()
	return *state(t, terminal)
}

func state(t *testing.T, terminal *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
