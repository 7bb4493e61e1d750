// Package misplaced keeps private keys out of messages. A shell puts the key
// itself where its name belongs if somebody writes $KEY instead of env:KEY, and
// the error that follows must not repeat it.
package misplaced

import (
	"fmt"
	"net/url"
	"strings"
)

// fragment is the length in bytes of the shortest part of a key that is removed.
// So a key does not show if a message cuts it or breaks it into lines.
const fragment = 16

// A Filter removes keys from text. The zero value knows none.
type Filter struct {
	fragments map[string]bool // in lower case: host names lose their case
}

// NewFilter returns a Filter for the keys in texts, such as the arguments and the
// environment of a program.
func NewFilter(texts ...string) Filter {
	f := Filter{map[string]bool{}}
	for _, text := range texts {
		for _, key := range find(text) {
			for _, form := range []string{key, url.QueryEscape(key), url.PathEscape(key)} {
				f.add(strings.ToLower(form))
			}
		}
	}
	return f
}

func (f Filter) add(key string) {
	for i := 0; i+fragment <= len(key); i++ {
		f.fragments[key[i:i+fragment]] = true
	}
}

// Text returns text without the keys. In place of each stands how long it is.
func (f Filter) Text(text string) string {
	if len(f.fragments) == 0 {
		return text
	}
	lower := toLowerASCII(text)
	var b strings.Builder
	for i := 0; i < len(text); {
		end := f.end(lower, i)
		if end == i {
			b.WriteByte(text[i])
			i++
			continue
		}
		fmt.Fprintf(&b, "[%d bytes that may be a key]", end-i)
		i = end
	}
	return b.String()
}

// end returns the end of the key that begins at i, or i if none does.
func (f Filter) end(lower string, i int) int {
	end := i
	for j := i; j <= end && j+fragment <= len(lower) && f.fragments[lower[j:j+fragment]]; j++ {
		end = j + fragment
	}
	return end
}

// toLowerASCII leaves other letters alone, so that every byte keeps its place.
func toLowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
