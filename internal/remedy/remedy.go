// Package remedy writes the hint of an error for people who use the command.
package remedy

import "github.com/countersign/countersign/signer"

// Of returns the remedy for err, or "" if err has no hint. A help topic becomes the
// command that shows it.
func Of(err error) string {
	h, _ := signer.HintOf(err)
	switch {
	case h.See == "":
		return h.Do
	case h.Do == "":
		return "see: countersign help " + h.See
	}
	return h.Do + "; see: countersign help " + h.See
}
