package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer"
)

// noticeAfter is how long a prompt is open before the command says so. KWallet may
// answer at once without asking anybody.
const noticeAfter = 300 * time.Millisecond

// prompts tells the person that a store waits for an answer, which may be in a window
// that others hide.
type prompts struct {
	print func(line string)

	mu     sync.Mutex
	last   signer.PromptEvent
	notice *time.Timer
}

// event is the function for [signer.WithPromptFunc].
func (p *prompts) event(e signer.PromptEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = e
	if p.notice != nil {
		p.notice.Stop()
		p.notice = nil
	}
	if e.State == signer.PromptOpened && e.Store != terminal.Store {
		p.notice = time.AfterFunc(noticeAfter, func() {
			p.print(fmt.Sprintf("countersign: waiting for an answer to the prompt of %s for %s\n", e.Store, e.Key))
		})
	}
}

// unanswered describes the prompt that nobody answered, or returns "".
func (p *prompts) unanswered() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.last.State {
	case signer.PromptOpened, signer.PromptTimedOut, signer.PromptCancelled:
		if p.last.Store == terminal.Store {
			return "the prompt at the terminal for " + p.last.Key
		}
		return fmt.Sprintf("the prompt of %s for %s", p.last.Store, p.last.Key)
	}
	return ""
}
