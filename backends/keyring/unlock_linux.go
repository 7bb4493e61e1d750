package keyring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/godbus/dbus"

	"github.com/countersign/countersign/signer"
)

const prompt = "org.freedesktop.Secret.Prompt."

// unlock sees to it that the collection is unlocked, or says why it is not.
func (s *secretService) unlock(b *Backend, p prompting) error {
	locked, err := s.collection.GetProperty(collection + "Locked")
	if err != nil {
		return busError(s.ctx, SecretService, err)
	}
	if locked.Value() == false {
		return nil
	}
	if p == noPrompt || b.PromptTimeout <= 0 {
		return explain(signer.ErrLocked, SecretService, "locked", "the keyring %q is locked, and nobody is there to unlock it", s.collectionName())
	}
	var unlocked []dbus.ObjectPath
	var dialog dbus.ObjectPath
	err = s.call(s.object(secretsPath), service+"Unlock", []dbus.ObjectPath{s.collection.Path()}).Store(&unlocked, &dialog)
	if err != nil {
		return busError(s.ctx, SecretService, err)
	}
	if dialog == "/" {
		return nil // it needed no password
	}
	return s.ask(dialog, b.PromptTimeout)
}

// ask opens the service's dialog and waits for the answer. If none comes, it
// closes the dialog again: gnome-keyring leaves it open, even when the program
// that asked for it is gone.
func (s *secretService) ask(dialog dbus.ObjectPath, patience time.Duration) error {
	if !s.conn.outlive() {
		return s.ctx.Err()
	}
	defer func() { context.AfterFunc(s.ctx, func() { s.conn.Close() }) }()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	answers := make(chan *dbus.Signal, 16)
	s.conn.Signal(answers)
	defer s.conn.RemoveSignal(answers)
	rule := fmt.Sprintf("type='signal',path='%s'", dialog)
	if err := s.call(s.conn.BusObject(), "org.freedesktop.DBus.AddMatch", rule).Err; err != nil {
		return busError(s.ctx, SecretService, err)
	}
	if err := s.call(s.object(dialog), prompt+"Prompt", "").Err; err != nil {
		return busError(s.ctx, SecretService, err)
	}
	for {
		select {
		case <-ctx.Done():
			s.object(dialog).Go(prompt+"Dismiss", dbus.FlagNoReplyExpected, nil)
			if err := s.ctx.Err(); errors.Is(err, context.Canceled) {
				return err
			}
			return explain(signer.ErrLocked, SecretService, "no-answer", "the prompt to unlock the keyring was open for %v, and nobody answered it: %w", patience, context.DeadlineExceeded)
		case answer, open := <-answers:
			if !open {
				return explain(signer.ErrUnavailable, SecretService, "bus-died", "the D-Bus session bus ended while a prompt was open")
			}
			if answer.Path == dialog && answer.Name == prompt+"Completed" {
				return s.answered(answer)
			}
		}
	}
}

// answered tells a person's no from a prompt that could not be shown: the
// service reports both as dismissed.
func (s *secretService) answered(answer *dbus.Signal) error {
	var dismissed bool
	var result dbus.Variant
	if err := dbus.Store(answer.Body, &dismissed, &result); err != nil {
		return damaged(SecretService, "other", "an answer from the prompt that makes no sense: %w", err)
	}
	switch {
	case !dismissed:
		return nil
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return explain(signer.ErrLocked, SecretService, "locked", "the keyring %q is locked, and there is no display to ask on", s.collectionName())
	}
	return explain(signer.ErrDenied, SecretService, "dismissed", "the prompt to unlock the keyring %q was dismissed", s.collectionName())
}
