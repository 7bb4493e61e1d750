package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/internal/terminal/terminaltest"
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
	terminal, program := terminaltest.Open(t)
	defer program.Close()
	return sitAt(t, terminal, program, env, args...)
}

// sitAt starts a command at the terminal with these ends.
func sitAt(t *testing.T, terminal, program *os.File, env []string, args ...string) *person {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &person{t: t, ctx: ctx, terminal: terminal, cmd: cmd}
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

func (p *person) enter(text string) { p.press(text + "\n") }

func (p *person) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.terminal, keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// awaitHidden returns once what is typed is not shown: a person does not type as
// fast as the program goes on.
func (p *person) awaitHidden() {
	p.t.Helper()
	for terminaltest.Echoes(p.t, p.terminal) {
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
	if !terminaltest.Echoes(t, p.terminal) {
		t.Error("the terminal shows nothing that is typed any more")
	}
}

// TestWhatIsDeletedIsWhatWasCopied has another key take the source's place while
// somebody thinks about the question.
func TestWhatIsDeletedIsWhatWasCopied(t *testing.T) {
	sh := commandShell{t, t.TempDir(), os.Environ()}
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

// hiddenPrompts has a command line for each command with a hidden prompt. DIR is a
// directory of keys, IMAGE a URL of the registry ORIGIN.
var hiddenPrompts = []struct{ line, prompt string }{
	{"get --key file:DIR/locked IMAGE", "passphrase for key"},
	{"token --key file:DIR/locked IMAGE", "passphrase for key"},
	{"sign --key file:DIR/locked", "passphrase for key"},
	{"connect --key file:DIR/locked ORIGIN", "passphrase for key"},
	{"key export --yes file:DIR/locked", "passphrase for key"},
	{"key import file:DIR/new DIR/locked", "passphrase for key"},
	{"key copy file:DIR/locked file:DIR/new", "passphrase for key"},
	{"key generate --new-passphrase file:DIR/new", "new passphrase"},
	{"key copy --new-passphrase file:DIR/open file:DIR/new", "new passphrase"},
	{"key passphrase keyring:new", "passphrase of the key files"},
}

// endings are the ways to end a command while its prompt is open and half a
// passphrase is typed.
var endings = map[string]struct {
	flag string
	end  func(p *person)
}{
	"Ctrl-C":      {end: func(p *person) { p.press("half\x03") }},
	"Ctrl-Z":      {end: func(p *person) { p.press("half\x1a\x1c\x03") }}, // they must not end it without clean-up
	"^D":          {end: func(p *person) { p.press("half\x04\x04") }},
	"^D at once":  {end: func(p *person) { p.press("\x04") }},
	"SIGTERM":     {end: func(p *person) { p.press("half"); p.signal(syscall.SIGTERM) }},
	"two SIGTERM": {end: func(p *person) { p.signal(syscall.SIGTERM); p.signal(syscall.SIGTERM) }},
	"SIGHUP":      {end: func(p *person) { p.press("half"); p.signal(syscall.SIGHUP) }},
	"--timeout":   {flag: " --timeout 2s", end: func(p *person) { p.press("half") }},
}

// TestTerminalKeepsItsEcho ends every command in every way at its hidden prompt. The
// terminal is then as it was before, and nothing typed is left for the shell.
func TestTerminalKeepsItsEcho(t *testing.T) {
	sh := commandShell{t, t.TempDir(), os.Environ()}
	writeFile(t, filepath.Join(sh.dir, "passphrase"), "correct")
	writeFile(t, filepath.Join(sh.dir, "message"), "POST,/api/me?ts=1700000000")
	sh.run(0, "", "countersign", "key", "generate", "--new-passphrase-file", "passphrase", "file:locked")
	sh.run(0, "", "countersign", "key", "generate", "file:open")
	registry := startDemoRegistry(t)
	words := strings.NewReplacer("DIR", sh.dir, "IMAGE", registry.URL+"/v2/library/demo/manifests/latest", "ORIGIN", registry.URL)
	for _, command := range hiddenPrompts {
		for name, ending := range endings {
			t.Run(command.line+" "+name, func(t *testing.T) {
				t.Parallel()
				line := words.Replace("countersign " + command.line + ending.flag)
				terminal, program := terminaltest.Open(t)
				defer program.Close()
				before := terminaltest.State(t, terminal)
				// A test that runs under nohup passes its ignored SIGHUP on.
				p := sitAt(t, terminal, program, os.Environ(), "sh", "-c", "exec env --default-signal=HUP "+line+" <"+sh.dir+"/message")
				p.await(command.prompt)
				p.awaitHidden()
				ending.end(p)
				_ = p.cmd.Wait()
				if code := p.cmd.ProcessState.ExitCode(); code <= 0 && name != "two SIGTERM" || strings.HasPrefix(name, "^D") && code != exitLocked {
					t.Errorf("%v\n%s", p.cmd.ProcessState, &p.screen)
				}
				if diff := cmp.Diff(before, terminaltest.State(t, terminal)); diff != "" {
					t.Errorf("the terminal is not as before (-before +after):\n%s", diff)
				}
				if n, err := unix.IoctlGetInt(int(program.Fd()), unix.TIOCINQ); n != 0 || err != nil {
					t.Errorf("%d typed characters are left for the shell, %v", n, err)
				}
			})
		}
	}
}
