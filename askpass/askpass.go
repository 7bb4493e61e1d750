// Package askpass asks for passphrases in a window of another program: the program that
// SSH_ASKPASS names, as ssh uses it, or pinentry, which GnuPG uses. An app with windows of
// its own uses its own function instead.
package askpass

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const (
	maxPassphrase = 4096        // bytes
	maxOutput     = 64 << 10    // the limit for all that a program prints, in bytes
	endTime       = time.Second // that a killed program has to close its output
)

// Find returns a function that asks for a passphrase in a window, or nil if no program can
// show one:
//
//	keys.File.Passphrase = askpass.Find(false)
//
// hasTerminal tells that the caller could ask on a terminal. The rules are those of ssh
// (ssh(1), "ENVIRONMENT"): SSH_ASKPASS names the program; it is used if there is no
// terminal and a display, that is, DISPLAY or WAYLAND_DISPLAY is set. With
// SSH_ASKPASS_REQUIRE=prefer it is used although there is a terminal, with "force" also
// without a display, and with "never" not at all. If there is neither SSH_ASKPASS nor a
// terminal, pinentry is used, if it is installed and has a display or a terminal of its
// own (GPG_TTY).
//
// The function returns when its context ends and closes the window. Errors: ErrDenied if
// the person closed the window; others if the program cannot be run. The program gets an
// environment of a few variables, without keys. It has prompt events as "ssh-askpass" and
// "pinentry" ([signer.WithPromptFunc]).
func Find(hasTerminal bool) signer.PassphraseFunc {
	if ask := findAskpass(hasTerminal); ask != nil || hasTerminal {
		return ask
	}
	return findPinentry()
}

// FindConfirm returns a function that asks a question in a window of the program in
// SSH_ASKPASS, or nil. The rules are those of [Find] for SSH_ASKPASS. The program gets the
// variable SSH_ASKPASS_PROMPT=confirm and answers with its exit code (ssh-add(1), "-c").
//
// The function returns nil for the answer yes. It returns when its context ends and closes
// the window. Errors: ErrDenied for any other answer; others if the program cannot be run.
func FindConfirm(hasTerminal bool) func(ctx context.Context, question string) error {
	program := findProgram(hasTerminal)
	if program == "" {
		return nil
	}
	return func(ctx context.Context, question string) error {
		cmd := command(ctx, program, printable.Text(question))
		cmd.Env = append(cmd.Env, "SSH_ASKPASS_PROMPT=confirm")
		err := cmd.Run()
		switch exit, ended := errors.AsType[*exec.ExitError](err); {
		case ctx.Err() != nil:
			return ctx.Err()
		case ended && exit.Exited():
			return fmt.Errorf("%w: the answer in the window of SSH_ASKPASS was no", signer.ErrDenied)
		case err != nil:
			return fmt.Errorf("the program in SSH_ASKPASS: %w", printable.Error(err))
		}
		return nil
	}
}

func findAskpass(hasTerminal bool) signer.PassphraseFunc {
	program := findProgram(hasTerminal)
	if program == "" {
		return nil
	}
	return told("ssh-askpass", func(ctx context.Context, prompt string) ([]byte, error) {
		return runAskpass(ctx, program, prompt)
	})
}

// findProgram returns the program that SSH_ASKPASS names, or "" if it is not to be used.
func findProgram(hasTerminal bool) string {
	program, require := os.Getenv("SSH_ASKPASS"), strings.ToLower(os.Getenv("SSH_ASKPASS_REQUIRE"))
	switch {
	case require == "never":
		return ""
	case require == "force":
	case require == "prefer" && hasDisplay():
	case hasTerminal, !hasDisplay():
		return ""
	}
	return program
}

func hasDisplay() bool {
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// told tells the prompt to the caller's function.
func told(store string, ask signer.PassphraseFunc) signer.PassphraseFunc {
	return func(ctx context.Context, prompt string) ([]byte, error) {
		end := signer.BeginPrompt(ctx, store, prompt)
		secret, err := ask(ctx, printable.Text(prompt))
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		end(err)
		return secret, err
	}
}

// runAskpass returns the first line that the program prints, as ssh_askpass in OpenSSH's
// readpass.c does. Any exit code but 0 means that the person refused.
func runAskpass(ctx context.Context, program, prompt string) ([]byte, error) {
	cmd := command(ctx, program, prompt+": ")
	var out limited
	cmd.Stdout = &out
	err := cmd.Run()
	switch exit, ended := errors.AsType[*exec.ExitError](err); {
	case ended && exit.Exited():
		return nil, fmt.Errorf("%w: the window of SSH_ASKPASS was closed (exit code %d)", signer.ErrDenied, exit.ExitCode())
	case err != nil:
		return nil, fmt.Errorf("the program in SSH_ASKPASS: %w", printable.Error(err))
	}
	line, _, _ := bytes.Cut(out.data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > maxPassphrase {
		return nil, errors.New("the program in SSH_ASKPASS printed more than a passphrase")
	}
	return line, nil
}

// command returns a command that ends with ctx.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environment(os.Environ())
	cmd.WaitDelay = endTime
	return cmd
}

// environment returns the variables that a program with a window needs. Other variables
// may hold keys.
func environment(all []string) []string {
	return slices.DeleteFunc(all, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		return !slices.Contains(passed, name) && !slices.ContainsFunc(passedGroups, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
}

var (
	passed = []string{
		"HOME", "PATH", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
		"GPG_TTY", "SSH_ASKPASS_PROMPT", // and those of Windows
		"SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "COMSPEC", "PATHEXT",
	}
	passedGroups = []string{"LC_", "XDG_", "DBUS_", "GTK_", "GDK_", "QT_", "KDE_", "PINENTRY_"}
)

// A limited keeps maxOutput bytes. A program that prints more gets an error and ends.
type limited struct{ data []byte }

func (l *limited) Write(p []byte) (int, error) {
	if len(l.data)+len(p) > maxOutput {
		return 0, errors.New("too much output")
	}
	l.data = append(l.data, p...)
	return len(p), nil
}
