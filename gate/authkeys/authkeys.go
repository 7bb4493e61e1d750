// Package authkeys reads the keys that the gate knows from a file in the format of
// OpenSSH's authorized_keys, and finds the owner of a key.
//
// The comment of a line is the name of the key's owner: "[A-Za-z0-9._@-]{1,64}".
// Several keys may have one name. The options from= and expiry-time= mean the same as
// in sshd(8). A line with any other option, with a mistake, or with a key that the gate
// does not accept counts for nothing; all other lines stay in force.
package authkeys

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/pubkey"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
)

// Why a key that is proved is refused.
var (
	ErrUnknown = errors.New("the key is not enrolled")
	ErrExpired = errors.New("the key has expired")
	ErrAddress = errors.New("the key may not be used from this address")
	ErrDenied  = errors.New("the key is on the deny list")
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// IsName reports whether name can be the name of a key's owner.
func IsName(name string) bool { return namePattern.MatchString(name) }

// An Entry is a line that enrols a key.
type Entry struct {
	Name    string
	Key     ssh.PublicKey
	ID      pubkey.ID // of Key
	From    string    // the option from=, "" for every address
	Expires time.Time // the option expiry-time=, zero for never
	Line    int

	from patterns
}

// Check returns ErrExpired or ErrAddress if the key may not be used at the time now
// by the client at address.
func (e Entry) Check(address netip.Addr, now time.Time) error {
	if !e.Expires.IsZero() && !now.Before(e.Expires) {
		return fmt.Errorf("%w on %s", ErrExpired, e.Expires.UTC().Format(time.DateTime+" MST"))
	}
	if e.From != "" && !e.from.match(address) {
		return ErrAddress
	}
	return nil
}

// A Mistake is a line that counts for nothing.
type Mistake struct {
	File string
	Line int
	Msg  string
}

func (m *Mistake) Error() string {
	return fmt.Sprintf("%s:%d: %s", printable.Text(m.File), m.Line, m.Msg)
}

// Keys are the enrolled keys of a file. They do not change.
type Keys struct {
	// Entries are in the order of the file.
	Entries []Entry

	// Mistakes are the lines that count for nothing.
	Mistakes []*Mistake

	byID          map[pubkey.ID]Entry
	byFingerprint map[string]Entry
}

// Find returns the line that enrols key.
func (k *Keys) Find(key ssh.PublicKey) (Entry, bool) {
	if k == nil {
		return Entry{}, false
	}
	e, ok := k.byID[pubkey.IDOf(key)]
	return e, ok
}

// FindFingerprint returns the line that enrols the key with a fingerprint as
// [ssh.FingerprintSHA256] returns it.
func (k *Keys) FindFingerprint(fingerprint string) (Entry, bool) {
	if k == nil {
		return Entry{}, false
	}
	e, ok := k.byFingerprint[fingerprint]
	return e, ok
}

// Parse reads an authorized_keys file. Mistakes name it as file.
func Parse(data []byte, file string) *Keys {
	keys := &Keys{byID: map[pubkey.ID]Entry{}, byFingerprint: map[string]Entry{}}
	number := 0
	for line := range bytes.Lines(keyfile.Text(data)) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		e, err := parseLine(line)
		if err == nil {
			e.Line = number
			err = keys.add(e)
		}
		if err != nil {
			keys.Mistakes = append(keys.Mistakes, &Mistake{file, number, err.Error()})
		}
	}
	return keys
}

func (k *Keys) add(e Entry) error {
	e.ID = pubkey.IDOf(e.Key)
	if first, ok := k.byID[e.ID]; ok {
		return fmt.Errorf("this key is in line %d already: that line counts", first.Line)
	}
	k.byID[e.ID] = e
	k.byFingerprint[ssh.FingerprintSHA256(e.Key)] = e
	k.Entries = append(k.Entries, e)
	return nil
}

func parseLine(line []byte) (Entry, error) {
	key, comment, options, rest, err := ssh.ParseAuthorizedKey(line)
	if err != nil || len(rest) > 0 {
		return Entry{}, errors.New("not a line of authorized_keys: want [options] type base64 name")
	}
	e := Entry{Name: comment, Key: key}
	if err := pubkey.Check(key); err != nil {
		return Entry{}, err
	}
	if !IsName(comment) {
		return Entry{}, fmt.Errorf("the comment is the name of the key's owner: want 1 to 64 of A-Z a-z 0-9 . _ @ - and not %s", printable.Quote(comment))
	}
	for _, option := range options {
		if err := e.setOption(option); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}

// setOption follows sshd(8), "AUTHORIZED_KEYS FILE FORMAT".
func (e *Entry) setOption(option string) error {
	name, value, hasValue := strings.Cut(option, "=")
	name = strings.ToLower(name)
	if !hasValue || name != "from" && name != "expiry-time" {
		return fmt.Errorf("the option %s is not known here: only from= and expiry-time= are", printable.Quote(name))
	}
	value, err := unquote(value)
	if err != nil {
		return fmt.Errorf("the option %s: %w", name, err)
	}
	if name == "from" {
		if e.From != "" {
			return errors.New("the option from comes twice")
		}
		e.From = value
		e.from, err = parsePatterns(value)
		return err
	}
	expires, err := parseExpiry(value)
	if err != nil {
		return err
	}
	if e.Expires.IsZero() || expires.Before(e.Expires) {
		e.Expires = expires
	}
	return nil
}

func unquote(value string) (string, error) {
	inner, ok := strings.CutPrefix(value, `"`)
	if inner, ok2 := strings.CutSuffix(inner, `"`); ok && ok2 && !strings.ContainsAny(inner, `"\`) && inner != "" {
		return inner, nil
	}
	return "", errors.New(`want a value in quotes, such as from="10.0.0.0/8"`)
}

// parseExpiry reads YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z]: in the local time zone without
// the Z, and else in UTC.
func parseExpiry(value string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(value, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) != len(digits) {
			continue
		}
		if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New(`the option expiry-time: want YYYYMMDD or YYYYMMDDHHMM[SS], with Z for UTC, such as expiry-time="20271231Z"`)
}
