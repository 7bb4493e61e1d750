package keyring_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/secretservice"
)

// watchPrompts counts the prompts that are asked for on the bus, until stop.
func watchPrompts(t *testing.T, s *secretservice.Session) (stop func() int) {
	t.Helper()
	out, stopMonitor := s.Monitor("interface='org.freedesktop.Secret.Prompt',member='Prompt'")
	count := make(chan int)
	go func() {
		n := 0
		for out.Scan() {
			if strings.Contains(out.Text(), "member=Prompt") {
				n++
			}
		}
		count <- n
	}()
	return func() int {
		stopMonitor()
		return <-count
	}
}

func TestPromptAnsweredOnce(t *testing.T) {
	t.Parallel()
	s, display := locked(t)
	stop := watchPrompts(t, s)
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	w.start("open at once", "key")
	display.Answer("password")
	if r := w.finish(); r.Error != "" {
		t.Fatal(r.Error)
	}
	s.Lock()
	if r := w.do("open at once", "key"); r.Error != "" { // the key is held
		t.Error(r.Error)
	}
	if n := stop(); n != 1 {
		t.Errorf("64 goroutines opened the key twice with %d prompts, want 1", n)
	}
}

// A prompt does not outlast the context of those who wait for its answer.
func TestPromptEndsWithContext(t *testing.T) {
	t.Parallel()
	s, display := locked(t)
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	w.start("open", "key")
	display.AwaitPrompt()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil { // ends the context of open
		t.Fatal(err)
	}
	if r := w.finish(); r.Error != context.Canceled.Error() {
		t.Errorf("Open: got error %q, want %q", r.Error, context.Canceled)
	}
	display.AwaitNoPrompt()
}

// A program lists keys, and works in the background, without a person's order.
func TestUnaskedWorkNeverPrompts(t *testing.T) {
	t.Parallel()
	s, _ := locked(t)
	stop := watchPrompts(t, s)
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	for _, op := range []string{"list", "open in the background"} {
		if r := w.do(op, "key"); len(r.Kinds) != 1 || r.Kinds[0] != "ErrLocked" {
			t.Errorf("%s: got error %q, want ErrLocked", op, r.Error)
		}
	}
	if n := stop(); n != 0 {
		t.Errorf("%d prompts were opened", n)
	}
}
