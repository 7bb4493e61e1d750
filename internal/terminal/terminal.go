// Package terminal talks to the person at the terminal: it asks questions, shows
// progress and opens a browser.
package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// Store is the name of the terminal in a [signer.PromptEvent].
const Store = "terminal"

// errClosed is the error of a question after Close.
var errClosed = fmt.Errorf("%w: the program is ending", signer.ErrDenied)

// A Terminal asks questions of the person at the terminal of this process, one
// at a time. It is safe for concurrent use.
type Terminal struct {
	out  io.Writer
	path string
	turn chan struct{} // holds a value while a question is open

	mu      sync.Mutex
	closed  bool
	restore func(discard bool) // ends the hidden input that is open; nil if none is
}

// New returns a Terminal that shows its questions on out, which is stderr: stdout
// and stdin may carry data. It reads the answers from the terminal itself.
func New(out io.Writer) *Terminal {
	return &Terminal{out: out, path: ttyName, turn: make(chan struct{}, 1)}
}

// Is reports whether stream is a terminal.
func Is(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// IsPresent reports whether there is a terminal, and so a person to ask.
func (t *Terminal) IsPresent() bool { return Is(t.out) }

// Close ends an open question for hidden input, gives the terminal its echo back
// and makes all later questions fail. A program calls it before it exits, and when
// it receives a signal to end: an abandoned goroutine may still have a question
// open.
func (t *Terminal) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.endHidden(true)
}

// endHidden restores the terminal once. If discard is true, typed characters that
// nobody has read are lost: a shell would show them. The caller holds t.mu.
func (t *Terminal) endHidden(discard bool) {
	if t.restore != nil {
		t.restore(discard)
		t.restore = nil
	}
}

// Ask shows question and reports whether the answer is yes. Any other answer, also
// ^D, means no.
func (t *Terminal) Ask(ctx context.Context, question string) (yes bool, err error) {
	tty, err := t.begin(ctx)
	if err != nil {
		return false, err
	}
	defer t.end(tty)
	ended := signer.BeginPrompt(ctx, Store, question)
	defer func() { ended(err) }()
	fmt.Fprintf(t.out, "%s [y/N] ", printable.Text(question))
	answer, err := signer.Await(ctx, func() ([]byte, error) { return readLine(tty) })
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(string(answer))) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// AskHidden shows prompt and returns the line that the person types, which the
// terminal does not show. It is a [signer.PassphraseFunc]. ^D is a refusal:
// ErrDenied. The terminal is as before when AskHidden returns, and after Close.
func (t *Terminal) AskHidden(ctx context.Context, prompt string) (secret []byte, err error) {
	tty, err := t.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer t.end(tty)
	ended := signer.BeginPrompt(ctx, Store, prompt)
	defer func() { ended(err) }()
	if err := t.beginHidden(tty); err != nil {
		return nil, err
	}
	fmt.Fprintf(t.out, "%s: ", printable.Text(prompt))
	secret, err = signer.Await(ctx, func() ([]byte, error) { return readHidden(tty) })
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endHidden(err != nil)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: the prompt was closed with ^D", signer.ErrDenied)
	}
	return secret, err
}

// AskNewHidden asks twice, because nobody sees the answer, and returns it if both
// answers are the same.
func (t *Terminal) AskNewHidden(ctx context.Context, prompt string) ([]byte, error) {
	first, err := t.AskHidden(ctx, prompt)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	second, err := t.AskHidden(ctx, "the same again")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two passphrases differ")
	}
	return first, nil
}

// begin waits until no other question is open, and opens the terminal.
func (t *Terminal) begin(ctx context.Context) (*os.File, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	tty, err := os.Open(t.path)
	if err != nil {
		<-t.turn
		return nil, err
	}
	return tty, nil
}

func (t *Terminal) end(tty *os.File) {
	tty.Close()
	<-t.turn
}

func (t *Terminal) beginHidden(tty *os.File) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	restore, err := hide(tty)
	if err != nil {
		return err
	}
	t.restore = func(discard bool) {
		restore(discard)
		fmt.Fprintln(t.out) // the line end that the person typed was not shown
	}
	return nil
}

// readLine reads up to the end of the line and no further, because the next line
// answers another question. The error is io.EOF if the input ends before the line.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		n, err := r.Read(b)
		switch {
		case err != nil:
			return line, err
		case n == 0:
			return line, io.EOF
		case b[0] == '\n':
			return line, nil
		}
	}
}
