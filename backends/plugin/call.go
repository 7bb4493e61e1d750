package plugin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/pluginwire"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// defaultTimeout gives a person the time to find the token and to touch it.
const defaultTimeout = time.Minute

// call sends r to the plugin. If the plugin needs a passphrase, call asks for it
// and sends r once more with the answer. asked is the question of an earlier call,
// whose right answer is sent at once. call returns the question of this call.
func (b *Backend) call(ctx context.Context, plugin string, r pluginwire.Request, asked string) (pluginwire.Result, string, error) {
	if err := ctx.Err(); err != nil {
		return pluginwire.Result{}, "", err
	}
	program, err := b.locate(plugin)
	if err != nil {
		return pluginwire.Result{}, "", err
	}
	r.Passphrase = b.answers.known(plugin, asked)
	reply, err := b.exchange(ctx, plugin, program, r)
	if err == nil && r.Passphrase == nil && wantsAnswer(reply) {
		asked = printable.Text(reply.Error.Prompt)
		var done func()
		r.Passphrase, done, err = b.answers.ask(ctx, b.Passphrase, plugin, asked)
		defer done()
		if r.Passphrase == nil {
			return pluginwire.Result{}, "", cmp.Or(err, reply.Error.Err())
		}
		reply, err = b.exchange(ctx, plugin, program, r)
	}
	if err != nil {
		return pluginwire.Result{}, "", err
	}
	if reply.Error == nil {
		b.answers.keep(plugin, asked, r.Passphrase)
		return *reply.Result, asked, nil
	}
	if r.Passphrase != nil && isRefusal(reply.Error.Err()) {
		b.answers.refuse(plugin, asked, r.Passphrase)
	}
	return pluginwire.Result{}, "", reply.Error.Err()
}

func wantsAnswer(reply pluginwire.Reply) bool {
	return reply.Error != nil && reply.Error.Prompt != "" && errors.Is(reply.Error.Err(), signer.ErrLocked)
}

func isRefusal(err error) bool {
	return errors.Is(err, signer.ErrLocked) || errors.Is(err, signer.ErrDenied)
}

// exchange starts the program once.
func (b *Backend) exchange(ctx context.Context, plugin string, program Program, r pluginwire.Request) (pluginwire.Reply, error) {
	limited, cancel := context.WithTimeout(ctx, cmp.Or(b.Timeout, defaultTimeout))
	defer cancel()
	r.Version, r.ID, r.MayPrompt = pluginwire.Version, newID(), signer.MayPrompt(ctx)
	r.Deadline, _ = limited.Deadline()
	r.Deadline = r.Deadline.UTC().Truncate(time.Millisecond)
	request, err := json.Marshal(r)
	if err != nil {
		return pluginwire.Reply{}, err
	}
	out, err := run(limited, program, append(request, '\n'))
	switch {
	case ctx.Err() != nil:
		return pluginwire.Reply{}, ctx.Err()
	case limited.Err() != nil:
		return pluginwire.Reply{}, fmt.Errorf("plugin %s gave no answer in %v: %w", plugin, cmp.Or(b.Timeout, defaultTimeout), limited.Err())
	case err != nil:
		return pluginwire.Reply{}, fmt.Errorf("plugin %s: %w%s", plugin, err, out.quoteStderr(r.Passphrase))
	}
	reply, err := pluginwire.ParseReply(out.reply, r.ID)
	if out.failed != nil && (err != nil || reply.Error == nil) {
		err = out.failed
	}
	if err != nil {
		return pluginwire.Reply{}, fmt.Errorf("plugin %s: %w%s", plugin, err, out.quoteStderr(r.Passphrase))
	}
	if e := reply.Error; e != nil {
		e.Message, e.Do = redact(e.Message, r.Passphrase), redact(e.Do, r.Passphrase)
	}
	return reply, nil
}

func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// redact removes the passphrase from text.
func redact(text string, passphrase pluginwire.Secret) string {
	if passphrase == nil || len(passphrase()) == 0 {
		return text
	}
	return string(bytes.ReplaceAll([]byte(text), passphrase(), []byte("[passphrase]")))
}
