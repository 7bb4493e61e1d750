package keyring_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
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

// TestPromptEventsOfManyGoroutines wants one prompt and two events for 20 goroutines,
// the same refusal for all, and a prompt again at the next call.
func TestPromptEventsOfManyGoroutines(t *testing.T) {
	t.Parallel()
	s, display := locked(t)
	stop := watchPrompts(t, s)
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	events := func(end signer.PromptState) []signer.PromptEvent {
		return []signer.PromptEvent{
			{Key: "keyring:key", Store: "secret-service", State: signer.PromptOpened},
			{Key: "keyring:key", Store: "secret-service", State: end},
		}
	}
	w.start("open by reference", "key")
	display.Dismiss()
	refused := w.finish()
	if diff := cmp.Diff(events(signer.PromptRefused), refused.Prompts); diff != "" || refused.Denied != 20 {
		t.Errorf("%d of 20 goroutines were refused\n%s", refused.Denied, diff)
	}
	w.start("open by reference", "key")
	display.Answer("password")
	allowed := w.finish()
	if diff := cmp.Diff(events(signer.PromptAllowed), allowed.Prompts); diff != "" || allowed.Error != "" {
		t.Errorf("%s\n%s", allowed.Error, diff)
	}
	if n := stop(); n != 2 {
		t.Errorf("%d prompts, want 2", n)
	}
}

func TestPromptEventsOfUnansweredPrompt(t *testing.T) {
	t.Parallel()
	s, display := locked(t)
	w := startWorker(t, s.Env(), withPrompt(3*time.Second))
	if r := w.do("open by reference", "key"); len(r.Prompts) != 2 || r.Prompts[1].State != signer.PromptTimedOut {
		t.Errorf("%s, %v", r.Error, r.Prompts)
	}
	display.AwaitNoPrompt()
}

// A prompt does not outlast the context of those who wait for its answer.
func TestPromptEndsWithContext(t *testing.T) {
	t.Parallel()
	s, display := locked(t)
	w := startWorker(t, s.Env(), withPrompt(time.Minute))
	w.start("open by reference", "key")
	display.AwaitPrompt()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil { // ends the context of open
		t.Fatal(err)
	}
	r := w.finish()
	if text, _, _ := strings.Cut(r.Error, "\n"); text != "open keyring:key: "+context.Canceled.Error() {
		t.Errorf("Open: got error %q, want %q", text, context.Canceled)
	}
	if len(r.Prompts) != 2 || r.Prompts[1].State != signer.PromptCancelled {
		t.Errorf("events: %v", r.Prompts)
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
