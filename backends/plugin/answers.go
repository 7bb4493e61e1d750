package plugin

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/signer"
)

// answers keeps the passphrases of the plugins in memory. A question is the name
// of a plugin and its prompt.
type answers struct {
	asking chan struct{} // holds one element while a person is asked and the answer is tried; made by lock

	mu      sync.Mutex
	right   map[string]pluginwire.Secret
	refused map[string][]pluginwire.Secret
}

func question(plugin, prompt string) string { return plugin + "\x00" + prompt }

// known returns the right answer to a question, or nil.
func (a *answers) known(plugin, prompt string) pluginwire.Secret {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.right[question(plugin, prompt)]
}

// ask returns the right answer to a question if it is known, and otherwise asks for
// it; nil if nobody can be asked. Callers that ask at once wait for each other until
// done, which the caller calls after keep or refuse: a person is asked once, and the
// plugin gets a wrong answer once.
func (a *answers) ask(ctx context.Context, ask signer.PassphraseFunc, plugin, prompt string) (answer pluginwire.Secret, done func(), err error) {
	done = func() {}
	if known := a.known(plugin, prompt); known != nil {
		return known, done, nil
	}
	if ask == nil || !signer.MayPrompt(ctx) {
		return nil, done, nil
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return nil, done, err
	}
	if known := a.known(plugin, prompt); known != nil {
		return known, unlock, nil // another caller got it
	}
	text, err := ask(ctx, fmt.Sprintf("%s (plugin %s)", prompt, plugin))
	if err != nil {
		return nil, unlock, err
	}
	text = bytes.Clone(text)
	if a.wasRefused(plugin, prompt, text) {
		return nil, unlock, fmt.Errorf("%w: the same answer to %q was refused before and is not tried again", signer.ErrDenied, prompt)
	}
	return func() []byte { return text }, unlock, nil
}

// lock waits until no other caller asks.
func (a *answers) lock(ctx context.Context) (unlock func(), err error) {
	a.mu.Lock()
	if a.asking == nil {
		a.asking = make(chan struct{}, 1)
	}
	a.mu.Unlock()
	select {
	case a.asking <- struct{}{}:
		return func() { <-a.asking }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// keep remembers the right answer to a question.
func (a *answers) keep(plugin, prompt string, answer pluginwire.Secret) {
	if answer == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.right == nil {
		a.right = map[string]pluginwire.Secret{}
	}
	a.right[question(plugin, prompt)] = answer
}

// refuse remembers an answer that the plugin refused. Some tokens lock themselves
// after three wrong answers.
func (a *answers) refuse(plugin, prompt string, answer pluginwire.Secret) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused == nil {
		a.refused = map[string][]pluginwire.Secret{}
	}
	q := question(plugin, prompt)
	delete(a.right, q)
	a.refused[q] = append(a.refused[q], answer)
}

func (a *answers) wasRefused(plugin, prompt string, answer []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, refused := range a.refused[question(plugin, prompt)] {
		if bytes.Equal(refused(), answer) {
			return true
		}
	}
	return false
}
