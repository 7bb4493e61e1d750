package challenge

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	defaultLifetime = 60 * time.Second // distribution, docs/content/spec/auth/token.md
	longestLifetime = 24 * time.Hour   // ask again at least daily
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

// readToken reads a token endpoint's reply as distribution's token
// specification has it: token, or its alias access_token; expires_in, 60 s if
// absent or not readable, because the token is good all the same; issued_at.
func readToken(body []byte, header http.Header, now time.Time) (*issued, error) {
	var reply struct {
		Token       string          `json:"token"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		IssuedAt    json.RawMessage `json:"issued_at"`
	}
	if err := json.Unmarshal(withoutBOM(body), &reply); err != nil {
		return nil, fmt.Errorf("%w: not the JSON of a token%s", ErrReply, syntaxOf(err))
	}
	value := reply.Token
	if value == "" {
		value = reply.AccessToken
	}
	if err := checkToken(value); err != nil {
		return nil, err
	}
	lifetime := readLifetime(reply.ExpiresIn)
	left := lifetime - age(reply.IssuedAt, header, lifetime, now)
	field := []string{"Bearer " + value}
	return &issued{
		secret: func() string { return field[0][len("Bearer "):] },
		header: func() []string { return field },
		from:   now, expires: now.Add(left),
	}, nil
}

// syntaxOf describes a syntax error in JSON without repeating a part of the text.
func syntaxOf(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf(": %v after %d bytes", syntax, syntax.Offset)
	}
	return ""
}

// checkToken wants the characters that a header field may hold.
func checkToken(value string) error {
	if value == "" {
		return fmt.Errorf("%w: neither token nor access_token in it", ErrReply)
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("%w: the token holds characters that no header can", ErrReply)
		}
	}
	return nil
}

// readLifetime reads seconds, also in quotes and with a fraction, and a duration such
// as "300s". A token whose lifetime is not positive is good for a single request.
func readLifetime(value json.RawMessage) time.Duration {
	text := strings.Trim(string(value), `"`)
	if d, err := time.ParseDuration(text); err == nil {
		return min(max(d, 0), longestLifetime)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(seconds) {
		return defaultLifetime
	}
	seconds = min(max(seconds, 0), longestLifetime.Seconds())
	return time.Duration(seconds * float64(time.Second))
}

// age tells how long ago the token was issued, by the server's own clock (its
// Date) where it can, so that a clock that differs from ours changes nothing.
// An age that leaves the token no life is not believed: it was just handed out.
func age(issuedAt json.RawMessage, header http.Header, lifetime time.Duration, now time.Time) time.Duration {
	var issued time.Time
	if json.Unmarshal(issuedAt, &issued) != nil || issued.IsZero() {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	if a := now.Sub(issued); a > 0 && a < lifetime {
		return a
	}
	return 0
}
