package window

import (
	"context"
	"errors"
	"io/fs"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

// sentences are the sentences of docs/desktop.md, "Which errors come?" The first error
// that matches counts.
var sentences = []struct {
	err  error
	text string
}{
	{context.Canceled, ""}, // the person pressed "Cancel"
	{context.DeadlineExceeded, "Nobody answered, or your keychain does not answer."},
	{fs.ErrPermission, "Your key cannot be saved: the app may not write to its folder."},
	{signer.ErrDenied, "You did not allow this app to use your key, or the password was wrong."},
	{signer.ErrLocked, "Your key is locked."},
	{signer.ErrInsecure, "Other users of this computer can read your key, so it is not used."},
	{signer.ErrUnavailable, "The keychain that has your key is not running."},
	{signer.ErrNotFound, "There is no key on this computer yet."},
	{signin.ErrNotConnected, "Your key is not connected to an account."},
	{signin.ErrKeyChanged, "Your key was replaced while you signed in."},
	{challenge.ErrRejected, "Your account may not do this."},
	{challenge.ErrRealm, "The server wants a signature for another server. Nothing was sent."},
	{challenge.ErrReply, "The server sent an answer that the app does not understand."},
	{errPull, "The server does not have this model."},
}

// sentence returns the sentence for a person, or "" if there is nothing to say.
func sentence(err error) string {
	if err == nil {
		return ""
	}
	for _, s := range sentences {
		if errors.Is(err, s.err) {
			return s.text
		}
	}
	return "The server cannot be reached. Are you offline?"
}
