package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/countersign/countersign/signer"
)

// errNotConfirmed is the error of a command whose question was not answered with
// yes.
var errNotConfirmed = errors.New("the answer was not yes")

// passphrase returns the function that unlocks a key, or nil if nobody can answer.
func (a *app) passphrase() signer.PassphraseFunc {
	switch {
	case a.unlock.read != nil:
		return a.unlock.answer
	case a.terminal.IsPresent():
		return a.terminal.AskHidden
	}
	return nil
}

// checkConfirm refuses a command that has to ask where nobody can answer, before
// the command does anything. yes is the flag --yes.
func (a *app) checkConfirm(yes bool) error {
	if yes || a.terminal.IsPresent() {
		return nil
	}
	return usageError{errors.New("this asks first, and there is no terminal to ask on: give --yes to go on without")}
}

// confirm asks question, and returns nil if the answer is yes or if yes is set.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if err := a.checkConfirm(yes); err != nil || yes {
		return err
	}
	ok, err := a.terminal.Ask(ctx, question)
	if err == nil && !ok {
		err = errNotConfirmed
	}
	return err
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
