package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/spf13/pflag"

	"github.com/countersign/countersign/askpass"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/fd"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// errNotConfirmed is the error of a command whose question was not answered with
// yes.
var errNotConfirmed = errors.New("the answer was not yes")

// passphrase returns the function that unlocks a key, or nil if nobody can answer. It
// asks in a window where ssh would.
func (a *app) passphrase() signer.PassphraseFunc {
	if a.unlock.read != nil {
		return a.unlock.answer
	}
	present := a.terminal.IsPresent()
	ask := askpass.Find(present)
	if ask == nil && present {
		return a.terminal.AskHidden
	}
	return ask
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

// maxPassphrase is how many bytes of a passphrase file are read.
const maxPassphrase = 4096

// A secretSource is where a passphrase is read from instead of the terminal. It
// is never an argument: others can see those.
type secretSource struct {
	read func() (string, error) // once, however often it is called; nil: nothing was given
}

func (s *secretSource) addFlags(a *app, flags *pflag.FlagSet, name, secret string) {
	flags.Func(name+"-file", "read "+secret+" from `FILE`", func(path string) error {
		if path == "" {
			return errors.New("it is empty: is the variable in it set?")
		}
		return s.set(func() (string, error) { return a.readSecretFile(path) })
	})
	flags.Func(name+"-fd", "read "+secret+" from the open file descriptor `N`", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return errors.New("want the number of an open file descriptor")
		}
		fd.CloseOnExec(uintptr(n))
		return s.set(func() (string, error) { return readSecret(os.NewFile(uintptr(n), "file descriptor "+text)) })
	})
}

func (s *secretSource) set(read func() (string, error)) error {
	if s.read != nil {
		return errors.New("the passphrase comes from one place: give one of these flags, once")
	}
	s.read = sync.OnceValues(read)
	return nil
}

// answer is a [signer.PassphraseFunc].
func (s *secretSource) answer(ctx context.Context, _ string) ([]byte, error) {
	text, err := signer.Await(ctx, s.read)
	return []byte(text), err
}

// readSecretFile reads a file, or a pipe that a shell made of <(command).
func (a *app) readSecretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("passphrase file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() {
		if err := access.CheckReaders("passphrase file", path, info); err != nil {
			return "", err
		}
		a.warnOf(access.CheckWriters("passphrase file", path))
	}
	return readSecret(f)
}

// readSecret returns the content of f without the line end that an editor adds.
func readSecret(f *os.File) (string, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	text := string(keyfile.TrimLineEnd(keyfile.Text(data)))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading a passphrase: %w", err)
	case len(data) > maxPassphrase:
		return "", fmt.Errorf("%s holds more than a passphrase: over %d bytes", printable.Text(f.Name()), maxPassphrase)
	case text == "":
		return "", fmt.Errorf("%s holds no passphrase: it is empty", printable.Text(f.Name()))
	}
	return text, nil
}

// remember returns ask, and a function that returns the last answer, or nil if there
// was none. If ask is nil, so is the first result.
func remember(ask signer.PassphraseFunc) (remembering signer.PassphraseFunc, last func() []byte) {
	var answer []byte
	if ask != nil {
		remembering = func(ctx context.Context, prompt string) ([]byte, error) {
			secret, err := ask(ctx, prompt)
			if err == nil {
				answer = secret
			}
			return secret, err
		}
	}
	return remembering, func() []byte { return answer }
}

// askOnce returns a function that asks at its first call and repeats the answer at
// later ones. It is not safe for concurrent use.
func askOnce(ask signer.PassphraseFunc) signer.PassphraseFunc {
	var answer []byte
	return func(ctx context.Context, prompt string) ([]byte, error) {
		if answer == nil {
			secret, err := ask(ctx, prompt)
			if err != nil {
				return nil, err
			}
			answer = secret
		}
		return bytes.Clone(answer), nil
	}
}
