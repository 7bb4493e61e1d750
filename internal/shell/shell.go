// Package shell writes command lines that people copy into a shell.
package shell

import (
	"fmt"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

// Quote makes one word of s for any shell of Unix. If s has a character that is
// not safe to print, such as an escape character, the word prints s with printf.
// Only bash, ksh, zsh and POSIX.1-2024 know the word for such an s that ends in a
// line break, because a shell removes that from the output of printf.
func Quote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+", r)
	}
	switch {
	case s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0:
		return s
	case printable.IsSafe(s):
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	case strings.HasSuffix(s, "\n"):
		return "$'" + octal(s) + "'"
	}
	return `"$(printf '` + octal(s) + `')"`
}

// octal writes all bytes but letters, digits and some marks as three octal digits,
// which no character behind them can change.
func octal(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; ' ' <= c && c <= '~' && !strings.ContainsRune(`'\%`, rune(c)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String()
}
