package secretservice

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Display is an X server without a screen. Its methods answer the prompts of one
// program, as a person would.
type Display struct {
	t       testing.TB
	name    string
	prompts []string // the arguments of "xdotool search" that find a prompt
}

// StartDisplay starts a display. Its methods answer the prompts of gnome-keyring.
// It ends with the test.
func StartDisplay(t testing.TB) *Display {
	t.Helper()
	Require(t, "Xvfb", "xdotool")
	// Without -noreset, the server starts over whenever its last client leaves,
	// and takes along a prompt that is just connecting.
	cmd := exec.Command("Xvfb", "-displayfd", "1", "-noreset", "-screen", "0", "640x480x24", "-nolisten", "tcp")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(&cmd) })
	number, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb did not start: %v", err)
	}
	return &Display{t, ":" + strings.TrimSpace(number), []string{"--class", "gcr-prompter"}}
}

// Env is the variable with which a Session shows its prompts here.
func (d *Display) Env() string { return "DISPLAY=" + d.name }

// AwaitPrompt returns when a prompt is open and has the keyboard.
func (d *Display) AwaitPrompt() {
	d.t.Helper()
	d.until("no prompt opened", d.focus)
}

// Answer types the password into the open prompt. A key may be lost while the
// window is being drawn; then the prompt asks again, and so does Answer. It waits
// in between, because a prompt that checks an answer must get no more keys.
func (d *Display) Answer(password string) {
	d.t.Helper()
	d.AwaitPrompt()
	d.until("the prompt stays open", func() bool {
		if d.focus() {
			d.xdotool("key", "ctrl+a")
			d.xdotool("type", password)
			d.xdotool("key", "Return")
		}
		for range 100 {
			if !d.IsOpen() {
				return true
			}
		}
		return false
	})
}

// Allow answers the open prompt with yes.
func (d *Display) Allow() {
	d.t.Helper()
	d.press("Return")
}

// AllowDelete answers KeePassXC's question whether to delete an item with yes,
// which is left of the default answer. A key may be lost while the window is
// being drawn, so it is pressed more than once.
func (d *Display) AllowDelete() {
	d.t.Helper()
	d.press("Left", "Left", "Left", "Return")
}

// Dismiss closes the open prompt as the Escape key does.
func (d *Display) Dismiss() {
	d.t.Helper()
	d.press("Escape")
}

func (d *Display) press(keys ...string) {
	d.t.Helper()
	d.AwaitPrompt()
	d.until("the prompt stays open", func() bool {
		if d.focus() {
			d.xdotool(append([]string{"key"}, keys...)...)
		}
		return !d.IsOpen()
	})
}

// AwaitNoPrompt returns once no prompt is open any more.
func (d *Display) AwaitNoPrompt() {
	d.t.Helper()
	d.until("the prompt stays open", func() bool { return !d.IsOpen() })
}

// IsOpen reports whether a prompt is open.
func (d *Display) IsOpen() bool { return d.xdotool(d.search()...) }

// focus gives a prompt the keyboard, as a window manager would.
func (d *Display) focus() bool { return d.xdotool(append(d.search(), "windowfocus")...) }

func (d *Display) search() []string {
	return append([]string{"search", "--onlyvisible"}, d.prompts...)
}

// until calls done until it returns true. done starts a process, which takes some
// milliseconds.
func (d *Display) until(complaint string, done func() bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			d.t.Fatal(complaint)
		}
	}
}

// xdotool reports whether xdotool succeeded. It fails if there is no such window.
func (d *Display) xdotool(args ...string) bool {
	cmd := exec.CommandContext(d.t.Context(), "xdotool", args...)
	cmd.Env = append(os.Environ(), d.Env())
	return cmd.Run() == nil
}

// AddPrompter lets the bus start the program that shows prompts.
func (s *Session) AddPrompter() {
	s.t.Helper()
	for _, name := range []string{"org.gnome.keyring.SystemPrompter", "org.gnome.keyring.PrivatePrompter"} {
		data, err := os.ReadFile(filepath.Join("/usr/share/dbus-1/services", name+".service"))
		if err != nil {
			s.t.Fatal(err)
		}
		s.addServiceFile(name, data)
	}
	s.reload()
}

// AddService lets the bus start a program when a client needs name.
func (s *Session) AddService(name, command string) {
	s.t.Helper()
	s.addServiceFile(name, []byte("[D-BUS Service]\nName="+name+"\nExec="+command+"\n"))
	s.reload()
}

func (s *Session) addServiceFile(name string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "services", name+".service"), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Session) reload() {
	s.t.Helper()
	s.Run("", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ReloadConfig")
}
