package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/countersign/countersign/signer"
)

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// passphrase returns nil where no terminal is: nobody could answer. The prompt is
// shown on stderr; stdin may hold what is to be signed, so the answer comes from
// the terminal itself.
func (a *app) passphrase() signer.PassphraseFunc {
	if !isTerminal(a.stderr) {
		return nil
	}
	return func(ctx context.Context, prompt string) ([]byte, error) {
		tty, err := os.Open(ttyName)
		if err != nil {
			return nil, err
		}
		defer tty.Close()
		return a.readPassphrase(ctx, int(tty.Fd()), prompt)
	}
}

// readPassphrase leaves the terminal as it was, also when ctx ends first.
func (a *app) readPassphrase(ctx context.Context, fd int, prompt string) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.stderr, "%s: ", prompt)
	defer fmt.Fprintln(a.stderr)

	type answer struct {
		secret []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		secret, err := term.ReadPassword(fd)
		answered <- answer{secret, err}
	}()
	select {
	case got := <-answered:
		return got.secret, got.err
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return nil, ctx.Err()
	}
}
