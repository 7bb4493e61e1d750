package askpass_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/askpass"
	"github.com/countersign/countersign/internal/terminal/terminaltest"
	"github.com/countersign/countersign/signer"
)

// setEnv sets the variables that askpass reads, and no others of them.
func setEnv(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{"SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY"} {
		t.Setenv(name, variables[name])
	}
}

// script writes a program and returns its name.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFind compares with the rules of ssh(1).
func TestFind(t *testing.T) {
	program := script(t, "askpass", "echo askpass")
	t.Setenv("PATH", t.TempDir()) // without pinentry
	for _, test := range []struct {
		env         string
		terminal    bool
		wantAskpass bool
	}{
		{"", false, false},
		{"SSH_ASKPASS", false, false},
		{"SSH_ASKPASS DISPLAY", false, true},
		{"SSH_ASKPASS WAYLAND_DISPLAY", false, true},
		{"DISPLAY", false, false},
		{"SSH_ASKPASS DISPLAY", true, false},
		{"SSH_ASKPASS DISPLAY SSH_ASKPASS_REQUIRE=prefer", true, true},
		{"SSH_ASKPASS DISPLAY SSH_ASKPASS_REQUIRE=Prefer", true, true},
		{"SSH_ASKPASS SSH_ASKPASS_REQUIRE=prefer", true, false},
		{"SSH_ASKPASS SSH_ASKPASS_REQUIRE=force", true, true},
		{"SSH_ASKPASS SSH_ASKPASS_REQUIRE=force", false, true},
		{"SSH_ASKPASS DISPLAY SSH_ASKPASS_REQUIRE=never", false, false},
		{"SSH_ASKPASS DISPLAY SSH_ASKPASS_REQUIRE=other", false, true},
	} {
		variables := map[string]string{}
		for _, variable := range strings.Fields(test.env) {
			name, value, _ := strings.Cut(variable, "=")
			switch name {
			case "SSH_ASKPASS":
				value = program
			case "DISPLAY", "WAYLAND_DISPLAY":
				value = ":9"
			}
			variables[name] = value
		}
		setEnv(t, variables)
		if got := askpass.Find(test.terminal) != nil; got != test.wantAskpass {
			t.Errorf("%q, terminal %v: found %v", test.env, test.terminal, got)
		}
	}
}

func findAskpass(t *testing.T, text string) signer.PassphraseFunc {
	t.Helper()
	setEnv(t, map[string]string{"SSH_ASKPASS": script(t, "askpass", text), "SSH_ASKPASS_REQUIRE": "force"})
	return askpass.Find(false)
}

func TestAskpassAnswers(t *testing.T) {
	for text, want := range map[string]string{
		"echo secret":                         "secret",
		`printf 'with space \r\nsecond line'`: "with space ",
		"printf secret":                       "secret",
		`echo "$1"`:                           "passphrase for key x: ",
		":":                                   "",
	} {
		got, err := findAskpass(t, text)(t.Context(), "passphrase for key x")
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestAskpassRefused(t *testing.T) {
	var states []signer.PromptState
	ctx := signer.WithPromptFunc(t.Context(), func(e signer.PromptEvent) { states = append(states, e.State) })
	got, err := findAskpass(t, "echo secret; exit 1")(ctx, "passphrase")
	if got != nil || !errors.Is(err, signer.ErrDenied) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %q, %v", got, err)
	}
	if diff := cmp.Diff([]signer.PromptState{signer.PromptOpened, signer.PromptRefused}, states); diff != "" {
		t.Error(diff)
	}
}

func TestAskpassFailures(t *testing.T) {
	for name, ask := range map[string]signer.PassphraseFunc{
		"flood":  findAskpass(t, "exec yes"),
		"killed": findAskpass(t, "kill -9 $$"),
		"long":   findAskpass(t, "head -c 5000 /dev/zero | tr '\\0' a"),
	} {
		if got, err := ask(t.Context(), "passphrase"); got != nil || err == nil || errors.Is(err, signer.ErrDenied) {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
	setEnv(t, map[string]string{"SSH_ASKPASS": filepath.Join(t.TempDir(), "none"), "SSH_ASKPASS_REQUIRE": "force"})
	if got, err := askpass.Find(false)(t.Context(), "passphrase"); got != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: got %q, %v", got, err)
	}
}

// The window closes with the context, and a program that the window started does not
// keep the caller waiting.
func TestAskpassEndsWithContext(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	ask := findAskpass(t, ": >"+started+"; sleep 600 & wait")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(started); err == nil {
				cancel()
				return
			}
		}
	}()
	if got, err := ask(ctx, "passphrase"); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAskpassGetsNoKeys(t *testing.T) {
	ask := findAskpass(t, "env | sed 's/=.*//' | tr '\\n' ' '")
	t.Setenv("OLLAMA_KEY", "key")
	t.Setenv("OLLAMA_KEY_PASSPHRASE", "secret")
	t.Setenv("LC_ALL", "C.UTF-8")
	got, err := ask(t.Context(), "passphrase")
	if err != nil || strings.Contains(string(got), "OLLAMA") || !strings.Contains(string(got), "LC_ALL") || !strings.Contains(string(got), "HOME") {
		t.Errorf("the program got %s, %v", got, err)
	}
}

// requirePinentry puts a real pinentry under its own name first on the path.
func requirePinentry(t *testing.T) {
	t.Helper()
	program, err := exec.LookPath("pinentry-tty")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("pinentry-tty is not installed, and CI tests everything")
		}
		t.Skip("pinentry-tty is not installed")
	}
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, "pinentry")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestPinentry answers a real pinentry on a terminal.
func TestPinentry(t *testing.T) {
	requirePinentry(t)
	for typed, want := range map[string]string{
		"secret\n":    "secret",
		"50% + é x\n": "50% + é x",
		"\x04":        "", // Ctrl-D
	} {
		screen, program := terminaltest.Open(t)
		setEnv(t, map[string]string{"GPG_TTY": program.Name()})
		shown := make(chan string)
		go func() {
			var text strings.Builder
			buffer := make([]byte, 1024)
			for {
				n, err := screen.Read(buffer)
				text.Write(buffer[:n])
				if err != nil || strings.Contains(text.String(), "Passphrase:") {
					screen.WriteString(typed)
					shown <- text.String()
					return
				}
			}
		}()
		got, err := askpass.Find(false)(t.Context(), "passphrase for key 100% x")
		if text := <-shown; !strings.Contains(text, "passphrase for key 100% x") {
			t.Errorf("pinentry showed %q", text)
		}
		if string(got) != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, signer.ErrDenied) {
			t.Errorf("%q: got %q, %v", typed, got, err)
		}
		program.Close()
	}
}

func TestPinentryEndsWithContext(t *testing.T) {
	requirePinentry(t)
	screen, program := terminaltest.Open(t)
	defer program.Close()
	setEnv(t, map[string]string{"GPG_TTY": program.Name()})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		buffer := make([]byte, 1)
		_, _ = screen.Read(buffer) // pinentry shows something
		cancel()
	}()
	if got, err := askpass.Find(false)(ctx, "passphrase"); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}

// A pinentry that is none, or has no terminal and no display.
func TestPinentryAnswers(t *testing.T) {
	for answers, want := range map[string]error{
		"OK\nOK\nOK\nOK\nOK\nS status\n# comment\nD sec\nD ret%25\nOK\n": nil,
		"OK\nOK\nOK\nOK\nOK\nERR 83886179 Operation cancelled\n":         signer.ErrDenied,
		"OK\nOK\nOK\nOK\nOK\nERR 83886142 Timeout\n":                     context.DeadlineExceeded,
		"OK\nOK\nOK\nOK\nOK\nERR 83886340 No display\n":                  errAny,
		"OK\nOK\nOK\nOK\nOK\nD secr%zz\nOK\n":                            errAny,
		"OK\nOK\nOK\nOK\nOK\nD secret\n":                                 errAny,
		"hello\n":                                                        errAny,
		"":                                                               errAny,
	} {
		dir := filepath.Dir(script(t, "pinentry", ""))
		if err := os.WriteFile(filepath.Join(dir, "answers"), []byte(answers), 0o600); err != nil {
			t.Fatal(err)
		}
		text := "#!/bin/sh\ncat " + filepath.Join(dir, "answers") + "; exec cat >/dev/null"
		if strings.HasPrefix(answers, "hello") || answers == "" || strings.HasSuffix(answers, "secret\n") {
			text = "#!/bin/sh\ncat " + filepath.Join(dir, "answers")
		}
		if err := os.WriteFile(filepath.Join(dir, "pinentry"), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		setEnv(t, map[string]string{"GPG_TTY": "/dev/null"})
		got, err := askpass.Find(false)(t.Context(), "passphrase")
		switch {
		case want == nil && (err != nil || string(got) != "secret%"), want != nil && err == nil, want != errAny && !errors.Is(err, want):
			t.Errorf("%q: got %q, %v", answers, got, err)
		case err != nil && strings.Contains(err.Error(), "secr"):
			t.Errorf("%q: the error has a part of the passphrase: %v", answers, err)
		}
	}
}

var errAny = errors.New("any error")

// findConfirm returns the function for a program with this shell script.
func findConfirm(t *testing.T, text string) func(context.Context, string) error {
	t.Helper()
	setEnv(t, map[string]string{"SSH_ASKPASS": script(t, "askpass", text), "SSH_ASKPASS_REQUIRE": "force"})
	return askpass.FindConfirm(false)
}

func TestConfirm(t *testing.T) {
	for text, want := range map[string]error{
		`test "$SSH_ASKPASS_PROMPT: $1" = "confirm: Sign it?"`: nil,
		"echo no": nil, // the exit code counts, as for ssh-agent
		"exit 1":  signer.ErrDenied,
		"exit 3":  signer.ErrDenied,
	} {
		if err := findConfirm(t, text)(t.Context(), "Sign it?"); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", text, err, want)
		}
	}
	if err := findConfirm(t, "kill -9 $$")(t.Context(), "Sign it?"); err == nil || errors.Is(err, signer.ErrDenied) {
		t.Errorf("a killed program: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := findConfirm(t, "exit 1")(ctx, "Sign it?"); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	setEnv(t, map[string]string{"SSH_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "force"})
	if askpass.FindConfirm(false) != nil {
		t.Error("it asks without a program")
	}
}
