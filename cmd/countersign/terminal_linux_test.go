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
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// A person sits at a terminal, where a command runs.
type person struct {
	t        *testing.T
	ctx      context.Context
	terminal *os.File
	screen   bytes.Buffer
	cmd      *exec.Cmd
}

// sit starts a command at a terminal of its own, in the environment of the test.
func sit(t *testing.T, args ...string) *person {
	t.Helper()
	return sitWith(t, os.Environ(), args...)
}

// sitWith starts a command at a terminal of its own.
func sitWith(t *testing.T, env []string, args ...string) *person {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	terminal, program := openTerminal(t)
	defer program.Close()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &person{t: t, ctx: ctx, terminal: terminal, cmd: cmd}
}

// openTerminal returns both ends of a new terminal: the screen and keyboard, and
// what a program has of them.
func openTerminal(t *testing.T) (terminal, program *os.File) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	fd := int(terminal.Fd())
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
	return terminal, program
}

// await reads the screen until text is on it.
func (p *person) await(text string) {
	p.t.Helper()
	for b := make([]byte, 1024); !strings.Contains(p.screen.String(), text); {
		n, err := p.terminal.Read(b)
		if err != nil {
			p.t.Fatalf("no %q on the screen: %v\n%s", text, err, &p.screen)
		}
		p.screen.Write(b[:n])
	}
}

func (p *person) enter(text string) { fmt.Fprintln(p.terminal, text) }

// awaitHidden returns once what is typed is not shown: a person does not type as
// fast as the program goes on.
func (p *person) awaitHidden() {
	p.t.Helper()
	for echoes(p.t, p.terminal) {
		if p.ctx.Err() != nil {
			p.t.Fatal("the terminal shows what is typed")
		}
		runtime.Gosched()
	}
}

func TestTypedPassphrasesAreHidden(t *testing.T) {
	t.Chdir(t.TempDir())
	p := sit(t, "countersign", "key", "generate", "--new-passphrase", "file:key")
	for _, prompt := range []string{"new passphrase for key file key: ", "the same again: "} {
		p.await(prompt)
		p.awaitHidden()
		p.enter("correct horse")
	}
	p.await("ssh-ed25519 ")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &p.screen)
	}
	if strings.Contains(p.screen.String(), "correct") {
		t.Errorf("the passphrase is on the screen:\n%s", &p.screen)
	}
	if !echoes(t, p.terminal) {
		t.Error("the terminal shows nothing that is typed any more")
	}
}

// TestWhatIsDeletedIsWhatWasCopied has another key take the source's place while
// somebody thinks about the question.
func TestWhatIsDeletedIsWhatWasCopied(t *testing.T) {
	sh := shell{t, t.TempDir(), os.Environ()}
	t.Chdir(sh.dir)
	sh.run(0, "", "countersign", "key", "generate", "file:key")
	want := sh.run(0, "", "countersign", "key", "generate", "file:other")
	p := sit(t, "countersign", "key", "copy", "--delete-source", "file:key", "file:copy")
	p.await("Delete file:key? [y/N] ")
	if err := os.Rename("other", "key"); err != nil {
		t.Fatal(err)
	}
	p.enter("y")
	p.await("it holds another key")
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("%v\n%s", err, &p.screen)
	}
	if got := sh.run(0, "", "countersign", "key", "show", "file:key"); got != want {
		t.Errorf("file:key is %s", got)
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

// TestProgressRewritesItsLine has a text that is wider than a terminal, where
// writing over it would leave a line behind each time.
func TestProgressRewritesItsLine(t *testing.T) {
	person, program := openTerminal(t)
	text := "waiting until " + strings.Repeat("x", 100)
	synctest.Test(t, func(*testing.T) {
		p := &progress{app: &app{stderr: program}, text: text}
		p.show()
		time.Sleep(12 * time.Second)
		p.show()
		p.end()
	})
	program.Close()
	screen := make([]byte, 4096)
	n, err := person.Read(screen)
	if err != nil {
		t.Fatal(err)
	}
	if want := text + "\r\n\r(0s) \r(12s) \r\n"; string(screen[:n]) != want {
		t.Errorf("got %q, want %q", screen[:n], want)
	}
}
