// Package printable makes text of other programs, servers and users safe to
// print on a terminal.
package printable

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxLength is the longest text that Text returns whole, in characters.
const maxLength = 500

// Text returns s as one short line. White space becomes a space. A character
// that is invisible or moves the cursor or changes the direction of writing
// becomes its escape in Go's notation, such as \x1b or \u202e. A text of more
// than 500 characters is cut and ends in "...".
func Text(s string) string {
	var b strings.Builder
	length := 0
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		char := char(r, s[:size])
		s = s[size:]
		if length += utf8.RuneCountInString(char); length > maxLength {
			b.WriteString("...")
			break
		}
		b.WriteString(char)
	}
	return strings.TrimSpace(b.String())
}

// char returns the printable form of r, whose bytes are text.
func char(r rune, text string) string {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return " "
	case r == utf8.RuneError && len(text) == 1, !strconv.IsPrint(r):
		quoted := strconv.QuoteToASCII(text)
		return quoted[1 : len(quoted)-1]
	}
	return text
}
