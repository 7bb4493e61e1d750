package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/countersign/countersign/signer"
)

// passphrase returns nil where no terminal is: nobody could answer.
func (a *app) passphrase() signer.PassphraseFunc {
	in, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return func(ctx context.Context, prompt string) ([]byte, error) {
		return a.readPassphrase(ctx, int(in.Fd()), prompt)
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
