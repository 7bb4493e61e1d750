package challenge

import (
	"sync/atomic"
	"time"
)

// A Token is a bearer token (RFC 6750) for one registry and scope. Printing it
// does not print its secret. The zero value holds none.
type Token struct{ *issued }

// issued is a token as it came.
type issued struct {
	secret  func() string
	header  func() []string // the Authorization field, made once
	from    time.Time
	expires time.Time
	request *tokenRequest // that it answers
	keyID   keyID
	renewed atomic.Bool // its successor has been asked for, once
}

// Value returns the secret itself.
func (t Token) Value() string {
	if t.issued == nil {
		return ""
	}
	return t.secret()
}

// Expires returns the time, by the local wall clock, from which the server no longer
// accepts the token.
func (t Token) Expires() time.Time {
	if t.issued == nil {
		return time.Time{}
	}
	return t.expires.Round(0) // without the monotonic clock, which stops while a machine sleeps
}

// usableAt leaves a margin, so that no token expires on its way.
func (t Token) usableAt(now time.Time) bool {
	return t.issued != nil && !reached(now, t.expires.Add(-min(t.lifetime()/10, 10*time.Second)))
}

// ageingAt reports whether it is time to get the next token, while this one works.
func (t Token) ageingAt(now time.Time) bool {
	return reached(now, t.expires.Add(-min(t.lifetime()/4, time.Minute)))
}

// reached reports whether either clock has reached t. The monotonic clock stops while
// a machine sleeps, and the wall clock may be set back.
func reached(now, t time.Time) bool {
	return !now.Before(t) || !now.Round(0).Before(t.Round(0))
}

// key returns the key of t in a cache.
func (t Token) key() tokenKey { return tokenKey{t.request.id, t.keyID.fingerprint} }

// size returns about how many bytes t and its request take.
func (t Token) size() int { return len(t.secret()) + t.request.size() + len(t.keyID.ref) }

func (t Token) lifetime() time.Duration { return t.expires.Sub(t.from) }
