package agent

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

const (
	// longestName is the longest comment that a name can be, in bytes.
	longestName = 1024

	// mostShown is how many keys an error lists.
	mostShown = 10

	fingerprintPrefix = "SHA256:"
)

func checkName(name string) error {
	if name == "" {
		return nil // the only key
	}
	if err := signer.CheckName(name, longestName); err != nil {
		return err
	}
	if digest, ok := strings.CutPrefix(name, fingerprintPrefix); ok {
		if b, err := base64.RawStdEncoding.Strict().DecodeString(digest); err != nil || len(b) != 32 {
			err := fmt.Errorf("%w: a fingerprint is SHA256: and 43 characters of base64", signer.ErrName)
			return signer.WithHint(err, signer.Hint{Do: "copy it from: ssh-add -l", See: "agent"})
		}
	}
	return nil
}

// A listing is the list of an agent's keys at one time.
type listing struct {
	agent   string // the socket, printable
	entries []entry
}

func (l listing) usable() []entry {
	return slices.DeleteFunc(slices.Clone(l.entries), func(e entry) bool { return e.pub == nil })
}

// find returns the only usable key of that name. checkName has accepted the name.
func (l listing) find(name string) (entry, error) {
	named := slices.DeleteFunc(slices.Clone(l.entries), func(e entry) bool { return !e.has(name) })
	usable := listing{l.agent, named}.usable()
	switch {
	case len(usable) == 1:
		return usable[0], nil
	case len(usable) > 1:
		return entry{}, l.several(name, usable)
	case len(l.entries) == 0:
		return entry{}, l.isEmpty()
	case len(named) > 0:
		return entry{}, l.cannotUse(named)
	}
	return entry{}, l.lacks(name)
}

func (e entry) has(name string) bool {
	if strings.HasPrefix(name, fingerprintPrefix) {
		return e.fingerprint == name
	}
	return name == "" || e.comment == name
}

// nameOf returns the shortest name that means k alone and that a user can write.
func (l listing) nameOf(k entry) string {
	if k.comment == "" || checkName(k.comment) != nil || !printable.IsSafe(k.comment) {
		return k.fingerprint
	}
	if found, _ := l.find(k.comment); found.fingerprint != k.fingerprint {
		return k.fingerprint
	}
	return k.comment
}

// describe returns keys for an error, one after the other.
func describe(keys []entry) string {
	var texts []string
	for i, k := range keys {
		if i == mostShown {
			texts = append(texts, fmt.Sprintf("and %d more", len(keys)-i))
			break
		}
		text := k.fingerprint
		if k.comment != "" {
			text += " (" + printable.Text(k.comment) + ")"
		}
		if k.pub == nil {
			text += " of type " + printable.Text(k.kind)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
