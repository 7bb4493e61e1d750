// Package printable makes text of other programs, servers and users safe to
// print on a terminal.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLength is the longest text that Text returns whole, in characters.
const maxLength = 500

// maxLine is the longest line that Lines returns whole, in characters.
const maxLine = 2000

// Text returns s as one short line. White space becomes a space. A character
// that is invisible or moves the cursor or changes the direction of writing
// becomes its escape in Go's notation, such as \x1b or \u202e. A text of more
// than 500 characters is cut and ends in "...".
func Text(s string) string { return strings.TrimSpace(escape(s, maxLength)) }

// IsSafe reports whether s is safe to print as it is: it is UTF-8, and Text would
// escape no character of it.
func IsSafe(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

// Lines returns s with the escapes of Text in each line. It is for a program's own
// message, in which all foreign text went through Text already: a second barrier,
// with 2000 characters for a line.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = escape(strings.TrimSuffix(line, "\r"), maxLine)
	}
	return strings.Join(lines, "\n")
}

// JSON returns a JSON text in which the characters that Text escapes are escaped
// in JSON's notation. It means the same to programs and is safe on a terminal. The result
// may share the memory of text.
func JSON(text []byte) []byte {
	if isPlain(text) {
		return text
	}
	var b []byte
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == '\n' || strconv.IsPrint(r) {
			b = append(b, text[:size]...)
		} else {
			for _, unit := range utf16.AppendRune(nil, r) {
				b = fmt.Appendf(b, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return b
}

// isPlain reports whether s has printable ASCII characters only.
func isPlain[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// escape returns s with all characters in their printable form, cut at limit.
func escape(s string, limit int) string {
	if len(s) <= limit && isPlain(s) {
		return s
	}
	var b strings.Builder
	length := 0
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		char := char(r, s[:size])
		s = s[size:]
		if length += utf8.RuneCountInString(char); length > limit {
			b.WriteString("...")
			break
		}
		b.WriteString(char)
	}
	return b.String()
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

// Quote returns the Text of s between quotation marks.
func Quote(s string) string { return `"` + Text(s) + `"` }
