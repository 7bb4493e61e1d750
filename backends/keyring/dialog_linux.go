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

const promptInterface = "org.freedesktop.Secret.Prompt"

// unlock unlocks a collection or an item, or returns why it stays locked. If
// KeePassXC is set to confirm access, it locks each item for each new connection.
func (s *secretService) unlock(object dbus.ObjectPath, what, name string) error {
	locked, err := s.locked(object)
	if err != nil || !locked {
		return err
	}
	if s.patience == 0 {
		topic := "locked"
		if s.isKeePassXC() {
			topic = "keepassxc-locked"
		}
		return explain(signer.ErrLocked, SecretService, topic, "%s %q is locked, and nobody was asked to unlock it", what, name)
	}
	var unlocked []dbus.ObjectPath
	var dialog dbus.ObjectPath
	if err := s.service("Unlock", []dbus.ObjectPath{object}).Store(&unlocked, &dialog); err != nil {
		return err
	}
	isUnlocked := func() error {
		locked, err := s.locked(object)
		if err == nil && locked {
			err = explain(signer.ErrDenied, SecretService, "dismissed", "the prompt to unlock %s %q was answered with no", what, name)
		}
		return err
	}
	if dialog == noObject {
		return isUnlocked()
	}
	return s.ask(dialog, "to unlock "+what, name, isUnlocked)
}

func (s *secretService) locked(object dbus.ObjectPath) (locked bool, err error) {
	iface := secretItem
	if object == s.collection {
		iface = collection
	}
	err = s.property(object, iface+"Locked", &locked)
	return locked, err
}

// ask starts a prompt of the service, if there is one, and waits until it is
// completed. KeePassXC has a prompt for each change; most of them show nothing. A
// completed prompt was allowed if check returns nil.
//
// If no answer comes, ask dismisses the prompt: gnome-keyring would leave its
// dialog open, even when this program has ended.
func (s *secretService) ask(dialog dbus.ObjectPath, purpose, name string, check func() error) (err error) {
	if dialog == noObject {
		return nil
	}
	end := signer.BeginPrompt(s.ctx, string(SecretService), name)
	defer func() { end(err) }()
	if !s.conn.outlive() {
		return s.ctx.Err()
	}
	defer func() { context.AfterFunc(s.ctx, func() { s.conn.Close() }) }()
	patience := s.patience
	if patience == 0 {
		patience = s.limit
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	signals := make(chan *dbus.Signal, 16)
	s.conn.Signal(signals)
	defer s.conn.RemoveSignal(signals)
	// gnome-keyring sends the signal to this connection; KeePassXC broadcasts it.
	rule := fmt.Sprintf("type='signal',interface='%s',path='%s'", promptInterface, dialog)
	if err := s.conn.bus(s.ctx, "AddMatch", rule).Err; err != nil {
		return busError(s.ctx, SecretService, err)
	}
	if err := s.call(dialog, promptInterface+".Prompt", "").Err; err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			s.conn.Object(secretsName, dialog).Go(promptInterface+".Dismiss", dbus.FlagNoReplyExpected, nil)
			if err := s.ctx.Err(); errors.Is(err, context.Canceled) {
				return err
			}
			return explain(signer.ErrLocked, SecretService, "no-answer", "%w", deadlineError(fmt.Sprintf("the prompt %s %q was open for %v, and nobody answered it", purpose, name, patience.Round(time.Millisecond))))
		case signal, open := <-signals:
			if !open {
				return explain(signer.ErrUnavailable, SecretService, "bus-died", "the D-Bus session bus ended while a prompt was open")
			}
			if signal.Path == dialog && signal.Name == promptInterface+".Completed" {
				if err := s.completed(signal, purpose, name); err != nil {
					return err
				}
				return check()
			}
		}
	}
}

// completed reads the answer. The service reports "dismissed" if a person says
// no, and also if it could not show the prompt.
func (s *secretService) completed(signal *dbus.Signal, purpose, name string) error {
	var dismissed bool
	var result dbus.Variant
	if err := dbus.Store(signal.Body, &dismissed, &result); err != nil {
		return damaged(SecretService, "other", "an answer from the prompt that makes no sense: %w", err)
	}
	switch {
	case !dismissed:
		return nil
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && !s.isKeePassXC():
		return explain(signer.ErrLocked, SecretService, "locked", "there is no display for the prompt %s %q", purpose, name)
	}
	return explain(signer.ErrDenied, SecretService, "dismissed", "the prompt %s %q was dismissed", purpose, name)
}
