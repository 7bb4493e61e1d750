package signer

import "errors"

// A Hint tells the remedy for an error. The text of the error tells the
// problem and does not repeat the remedy.
type Hint struct {
	// Do is a command or an action: "chmod 600 /home/me/.ssh/id_ed25519".
	Do string

	// See is the name of a help topic: "keychain" or "keychain#no-bus".
	See string
}

// WithHint returns an error that has the text of err, wraps err and carries h.
// It returns err itself if err is nil or h is empty.
func WithHint(err error, h Hint) error {
	if err == nil || h == (Hint{}) {
		return err
	}
	return &hinted{err, h}
}

// HintOf returns the hint of err, and whether err has one. If several errors
// in the tree of err carry hints, the outermost hint counts. An error type of
// another package carries a hint if it has a method "Hint() signer.Hint".
func HintOf(err error) (Hint, bool) {
	var h interface {
		error
		Hint() Hint
	}
	if !errors.As(err, &h) {
		return Hint{}, false
	}
	return h.Hint(), true
}

type hinted struct {
	error
	hint Hint
}

func (h *hinted) Unwrap() error { return h.error }

func (h *hinted) Hint() Hint { return h.hint }
