package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/countersign/countersign/signer"
)

// errNo is the answer of somebody who was asked and does not want it.
var errNo = errors.New("the answer was not yes")

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// hasTerminal reports whether somebody is there to be asked. Questions are shown
// on stderr; stdin may hold what is to be signed, so answers come from the
// terminal itself.
func (a *app) hasTerminal() bool { return isTerminal(a.stderr) }

// passphrase returns what unlocks a key, or nil where nobody could answer.
func (a *app) passphrase() signer.PassphraseFunc {
	switch {
	case a.unlock.read != nil:
		return a.unlock.answer
	case a.hasTerminal():
		return a.askHidden
	}
	return nil
}

// askHidden asks for what shall not be seen. It leaves the terminal as it was,
// also when ctx ends first.
func (a *app) askHidden(ctx context.Context, prompt string) ([]byte, error) {
	tty, err := os.Open(ttyName)
	if err != nil {
		return nil, err
	}
	defer tty.Close()
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.stderr, "%s: ", prompt)
	defer fmt.Fprintln(a.stderr)
	secret, err := signer.Await(ctx, func() ([]byte, error) { return term.ReadPassword(int(tty.Fd())) })
	if ctx.Err() != nil {
		_ = term.Restore(int(tty.Fd()), before)
	}
	return secret, err
}

// checkAsk refuses what asks first where nobody can answer, before anything is
// done. yes is what --yes says.
func (a *app) checkAsk(yes bool) error {
	if yes || a.hasTerminal() {
		return nil
	}
	return usageError{errors.New("this asks first, and there is no terminal to ask on: give --yes to go on without")}
}

// ask returns nil if the answer is yes, and errNo for anything else.
func (a *app) ask(ctx context.Context, yes bool, question string) error {
	if err := a.checkAsk(yes); err != nil || yes {
		return err
	}
	tty, err := os.Open(ttyName)
	if err != nil {
		return err
	}
	defer tty.Close()
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, err := signer.Await(ctx, func() (string, error) { return readLine(tty) })
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNo
}

// readLine reads no further than the line: the next one answers something else.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		n, err := r.Read(b)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if n == 0 || b[0] == '\n' {
			return string(line), nil
		}
	}
}

// readStdin reads at most limit bytes.
func (a *app) readStdin(ctx context.Context, limit int64) ([]byte, error) {
	data, err := signer.Await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.stdin, limit+1)) })
	if err != nil {
		return nil, fmt.Errorf("reading stdin: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("stdin holds more than %d bytes", limit)
	}
	return data, nil
}
