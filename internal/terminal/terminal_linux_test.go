package terminal

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/terminal/terminaltest"
	"github.com/countersign/countersign/signer"
)

// open returns a Terminal on a new terminal, and the screen of that.
func open(t *testing.T) (tm *Terminal, screen *os.File) {
	t.Helper()
	screen, program := terminaltest.Open(t)
	t.Cleanup(func() { program.Close() })
	tm = New(program)
	tm.path = program.Name()
	return tm, screen
}

// An answer is the result of a question in a goroutine.
type answer struct {
	secret string
	err    error
}

func ask(ctx context.Context, tm *Terminal) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		secret, err := tm.AskHidden(ctx, "passphrase")
		done <- answer{string(secret), err}
	}()
	return done
}

func awaitHidden(t *testing.T, screen *os.File) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); terminaltest.Echoes(t, screen); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the terminal shows the characters that are typed")
		}
	}
}

func enter(t *testing.T, screen *os.File, text string) {
	t.Helper()
	if _, err := io.WriteString(screen, text); err != nil {
		t.Fatal(err)
	}
}

func TestAskHidden(t *testing.T) {
	tm, screen := open(t)
	before := terminaltest.State(t, screen)
	done := ask(t.Context(), tm)
	awaitHidden(t, screen)
	enter(t, screen, "correct horse\ny\n")
	if got := <-done; got.err != nil || got.secret != "correct horse" {
		t.Errorf("got %q, %v", got.secret, got.err)
	}
	if diff := cmp.Diff(before, terminaltest.State(t, screen)); diff != "" {
		t.Errorf("the terminal is not as before (-before +after):\n%s", diff)
	}
	if ok, err := tm.Ask(t.Context(), "Sure?"); !ok || err != nil {
		t.Errorf("the second line does not answer the second question: %v, %v", ok, err)
	}
	const want = "passphrase: \r\nSure? [y/N] "
	shown := make([]byte, len(want))
	if _, err := io.ReadFull(screen, shown); err != nil || string(shown) != want {
		t.Errorf("on the screen: %q, %v, want %q", shown, err, want)
	}
}

// TestAskHiddenEnds ends a question in each way, with half a passphrase typed.
func TestAskHiddenEnds(t *testing.T) {
	for name, end := range map[string]func(tm *Terminal, screen *os.File, cancel func()){
		"context": func(_ *Terminal, _ *os.File, cancel func()) { cancel() },
		"^D":      func(_ *Terminal, screen *os.File, _ func()) { enter(t, screen, "\x04\x04") },
	} {
		t.Run(name, func(t *testing.T) {
			tm, screen := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := ask(ctx, tm)
			awaitHidden(t, screen)
			enter(t, screen, "half")
			end(tm, screen, cancel)
			if got := <-done; got.secret != "" || !errors.Is(got.err, context.Canceled) && !errors.Is(got.err, signer.ErrDenied) {
				t.Errorf("got %q, %v", got.secret, got.err)
			}
			if !terminaltest.Echoes(t, screen) {
				t.Error("the terminal shows nothing that is typed any more")
			}
		})
	}
}

// TestClose has a question open that nobody waits for any more.
func TestClose(t *testing.T) {
	tm, screen := open(t)
	before := terminaltest.State(t, screen)
	ask(context.WithoutCancel(t.Context()), tm)
	awaitHidden(t, screen)
	enter(t, screen, "half")
	tm.Close()
	if diff := cmp.Diff(before, terminaltest.State(t, screen)); diff != "" {
		t.Errorf("the terminal is not as before (-before +after):\n%s", diff)
	}
	later, screen := open(t)
	later.Close()
	if _, err := later.AskHidden(t.Context(), "passphrase"); !errors.Is(err, errClosed) || !terminaltest.Echoes(t, screen) {
		t.Errorf("a question after Close: %v", err)
	}
}

func TestAskClosedWithControlD(t *testing.T) {
	tm, screen := open(t)
	enter(t, screen, "\x04")
	if ok, err := tm.Ask(t.Context(), "Sure?"); ok || err != nil {
		t.Errorf("got %v, %v, want no", ok, err)
	}
}

func TestAskNewHidden(t *testing.T) {
	for typed, want := range map[string]string{"a\na\n": "", "a\nb\n": "differ", "\n": "empty", "a\n\x04": "closed"} {
		tm, screen := open(t)
		enter(t, screen, typed)
		secret, err := tm.AskNewHidden(t.Context(), "new")
		if want == "" && (err != nil || string(secret) != "a") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %q, %v", typed, secret, err)
		}
	}
}

// TestProgressRewritesItsLine has a text that is wider than a terminal. Writing
// over such a line would leave a line behind each time.
func TestProgressRewritesItsLine(t *testing.T) {
	screen, program := terminaltest.Open(t)
	text := "waiting until " + strings.Repeat("x", 100)
	synctest.Test(t, func(*testing.T) {
		p := &Progress{Out: program, Text: text}
		p.Show()
		time.Sleep(12 * time.Second)
		p.Show()
		p.End()
	})
	want := text + "\r\n\r(0s) \r(12s) \r\n"
	shown := make([]byte, len(want))
	// Before the program's end closes: the kernel may then end the reading early.
	if _, err := io.ReadFull(screen, shown); err != nil || string(shown) != want {
		t.Errorf("got %q, %v, want %q", shown, err, want)
	}
	program.Close()
}
