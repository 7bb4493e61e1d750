package challenge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/printable"
)

// Causes that an [Error] wraps, besides ErrRealm, those of package signer and
// those of package context. Test for them with [errors.Is].
var (
	// ErrNoChallenge: the response asks for nothing that a key could answer.
	ErrNoChallenge = errors.New("no challenge that can be answered")

	// ErrRejected: the server refuses a valid request: an unknown key, a scope that is
	// not granted, a token that it does not accept.
	ErrRejected = errors.New("rejected by the server")

	// ErrReply: the server's answer cannot be used.
	ErrReply = errors.New("unusable reply")

	// ErrBody: the request has a body that cannot be sent a second time.
	ErrBody = errors.New("request body cannot be replayed")
)

// An Error tells which step of answering a challenge failed, and why. The text of servers
// in it is one short printable line without tokens, signatures and Authorization values.
type Error struct {
	Op       string // "read challenge", "check realm", "get key", "sign", "get token" or "use token"
	Registry string // origin of the request that was challenged
	Realm    string // as the challenge gave it
	Scope    string
	Key      string // fingerprint, "SHA256:..."
	Ref      string // reference of the key, with more words if package config opened it
	Status   int    // HTTP status, 0 if there was no reply
	Server   string // the server's own words
	Tries    int    // requests to the realm, 0 if none was made
	Err      error

	// Skew is how far the server's clock is ahead of this machine's, if that is
	// far enough to be the cause.
	Skew time.Duration

	tolerated []string      // mistakes in the server's challenge
	temporary bool          // another try may succeed
	after     time.Duration // how long the server wants us to wait
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s %s", name, value)
		}
	}
	field("for", e.Registry)
	if e.Realm != "" && !strings.HasPrefix(e.Realm, e.Registry+"/") {
		field("at", e.Realm)
	}
	field("scope", e.Scope)
	field("with key", strings.TrimSpace(e.Key+" "+parenthesise(e.Ref)))
	b.WriteString(": " + e.Err.Error())
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Server != "" {
		fmt.Fprintf(&b, ": \"%s\"", e.Server) // quoted already where that is needed
	}
	if e.Tries > 1 {
		fmt.Fprintf(&b, ", after %d tries", e.Tries)
	}
	if e.after > 0 {
		fmt.Fprintf(&b, "; the server asks to wait %v", e.after)
	}
	if len(e.tolerated) > 0 {
		fmt.Fprintf(&b, "; also, the server's challenge has mistakes: %s", printable.Text(strings.Join(e.tolerated, ", ")))
	}
	switch {
	case e.Skew.Abs() > maxCorrection: // Err tells both times
	case e.Skew > 0:
		fmt.Fprintf(&b, "; also, the clock of this machine is %v behind the server's", e.Skew)
	case e.Skew < 0:
		fmt.Fprintf(&b, "; also, the clock of this machine is %v ahead of the server's", -e.Skew)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func parenthesise(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}
