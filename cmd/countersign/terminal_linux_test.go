package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new terminal: the screen and keyboard, and
// what a program has of them.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
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
	return person, program
}

// TestTypedPassphrasesAreHidden has somebody type each answer when it is asked
// for, and looks at the screen.
func TestTypedPassphrasesAreHidden(t *testing.T) {
	t.Chdir(t.TempDir())
	person, program := openTerminal(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "countersign", "key", "generate", "--new-passphrase", "file:key")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	var screen bytes.Buffer
	await := func(text string) {
		t.Helper()
		for b := make([]byte, 1024); !strings.Contains(screen.String(), text); {
			n, err := person.Read(b)
			if err != nil {
				t.Fatalf("no %q on the screen: %v\n%s", text, err, screen.String())
			}
			screen.Write(b[:n])
		}
	}
	for _, prompt := range []string{"new passphrase for key file key: ", "the same again: "} {
		await(prompt)
		for echoes(t, person) { // a person does not type as fast as the program goes on
			if ctx.Err() != nil {
				t.Fatal("the terminal shows what is typed")
			}
			runtime.Gosched()
		}
		fmt.Fprintln(person, "correct horse")
	}
	await("ssh-ed25519 ")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, screen.String())
	}
	if strings.Contains(screen.String(), "correct") {
		t.Errorf("the passphrase is on the screen:\n%s", screen.String())
	}
	if !echoes(t, person) {
		t.Error("the terminal shows nothing that is typed any more")
	}
}

// echoes reports whether the terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
