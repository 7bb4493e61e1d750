package config

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/signer"
)

// longest is how long the name of a key may be in any store: a path on Linux.
const longest = 4096

// A setting is a key in the file and its value.
type setting struct {
	key   string
	line  int
	value *unstable.Node
}

type setter func(setting)

func (r *reader) candidates(level Level, to *[]Candidate) setter {
	return func(s setting) {
		for ref, line := range r.texts(s, `["env:OLLAMA_KEY", "keyring:ollama"]`) {
			if err := signer.CheckReference(ref, longest); err != nil {
				r.errorf(line, "%s: %v", s.key, err)
			}
			*to = append(*to, Candidate{ref, Source{level, r.file, line}})
		}
		if s.value.Kind == unstable.Array && s.value.Child() == nil {
			r.errorf(s.line, "%s: the list is empty: name a key, or leave it out", s.key)
		}
	}
}

func (r *reader) realms(to *[]challenge.Origin) setter {
	return func(s setting) {
		*to = []challenge.Origin{} // an empty list means none
		for text, line := range r.texts(s, `["https://login.example.com"]`) {
			realm, err := challenge.ParseOrigin(text)
			if err != nil {
				r.errorf(line, "%s: %v", s.key, err)
			}
			*to = append(*to, realm)
		}
	}
}

func (r *reader) stores(to *[]keyring.Store) setter {
	return func(s setting) {
		*to = []keyring.Store{} // an empty list means none
		for name, line := range r.texts(s, `["secret-service", "pass"]`) {
			if known := knownStores(); !slices.Contains(known, name) {
				r.errorf(line, "%s: unknown store %s%s", s.key, quote(name), suggest(name, known))
			}
			*to = append(*to, keyring.Store(name))
		}
	}
}

// rooted knows the paths that do not depend on where a program is started, on
// any platform: one file serves all.
var rooted = regexp.MustCompile(`^(~?[/\\]|~$|[A-Za-z]:[/\\])`)

// filePath reads the path of a file.
func (r *reader) filePath(to *string, example string) setter {
	return r.rootedPath(to, "a file", strconv.Quote(example))
}

// rootedPath reads a path. what names the thing at that path.
func (r *reader) rootedPath(to *string, what, example string) setter {
	return func(s setting) {
		if !isRooted(s, to) {
			r.errorf(s.line, "%s: want the path of %s from the root or from ~, such as %s", s.key, what, example)
		}
	}
}

// isRooted sets to and reports whether it is a path that rooted matches.
func isRooted(s setting, to *string) bool {
	*to = string(s.value.Data)
	return s.value.Kind == unstable.String && rooted.MatchString(*to) && signer.CheckName(*to, longest) == nil
}

// keyringItem reads a reference into the keychain. No error repeats the text, because
// a user may have written the passphrase itself there.
func (r *reader) keyringItem(to *string) setter {
	return func(s setting) {
		name, ok := strings.CutPrefix(string(s.value.Data), "keyring:")
		if s.value.Kind != unstable.String || !ok || signer.CheckName(name, longest) != nil {
			r.errorf(s.line, `%s: want the keychain's item that holds it, such as "keyring:key-files": it is never written in this file`, s.key)
		}
		*to = name
	}
}

func (r *reader) duration(to *time.Duration) setter {
	return func(s setting) {
		d, err := time.ParseDuration(string(s.value.Data))
		if s.value.Kind != unstable.String || err != nil || d <= 0 {
			r.errorf(s.line, `%s: want a duration, such as "3s" or "2m"`, s.key)
		}
		*to = d
	}
}

func (r *reader) boolean(to *bool) setter {
	return func(s setting) {
		if s.value.Kind != unstable.Bool {
			r.errorf(s.line, "%s: want true or false, without quotes", s.key)
		}
		*to = string(s.value.Data) == "true"
	}
}

// texts yields the strings of a list, each with its line.
func (r *reader) texts(s setting, example string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		if s.value.Kind != unstable.Array {
			r.errorf(s.line, "%s: want a list, such as %s", s.key, example)
			return
		}
		for it := s.value.Children(); !r.isFull() && it.Next(); {
			line := r.line(it.Node(), s.line)
			if it.Node().Kind != unstable.String {
				r.errorf(line, "%s: want strings in the list, such as %s", s.key, example)
			} else if !yield(string(it.Node().Data), line) {
				return
			}
		}
	}
}
