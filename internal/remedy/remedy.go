// Package remedy writes the hint of an error for users of the command.
package remedy

import (
	"crypto/x509"
	"errors"

	"github.com/countersign/countersign/signer"
)

// Of returns the remedy for err, or "" if err has no hint. A help topic becomes the
// command that shows it.
func Of(err error) string {
	h, hasHint := signer.HintOf(err)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown && !hasHint {
		h = signer.Hint{
			Do:  `if its certificate is from a private authority, name the authority's file in the configuration: ca = "FILE" below [registry."HOST"]`,
			See: "configuration",
		}
	}
	switch {
	case h.See == "":
		return h.Do
	case h.Do == "":
		return "see: countersign help " + h.See
	}
	return h.Do + "; see: countersign help " + h.See
}
