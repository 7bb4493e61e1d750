package challenge

import (
	"fmt"
	"net/http"
)

// Bearer returns the first challenge of a response's header that a [Client] can
// answer: one with the scheme Bearer that names its realm. Errors:
// ErrNoChallenge; ErrReply if there might be one in a malformed field.
func Bearer(h http.Header) (Challenge, error) {
	all, err := Parse(h)
	for _, ch := range all {
		if answerable(ch) {
			return ch, nil
		}
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("%w: %w", ErrReply, err)
	}
	return Challenge{}, ErrNoChallenge
}

func answerable(ch Challenge) bool { return ch.Scheme == "bearer" && ch.Get("realm") != "" }
