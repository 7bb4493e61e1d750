package printable_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/printable"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain, grün, 日本":           "plain, grün, 日本",
		`a\b "c"`:                   `a\b "c"`,
		" two\r\nlines\t":           "two  lines",
		"\x1b[2J":                   `\x1b[2J`,
		"\u009b2J":                  `\u009b2J`,
		"a\u202eb":                  `a\u202eb`,
		"\u2066x\u2069":             `\u2066x\u2069`,
		"zero\u200bwidth":           `zero\u200bwidth`,
		"no\u00a0break":             `no\u00a0break`,
		"\x80\xff":                  `\x80\xff`,
		"\ufffd":                    "\ufffd",
		strings.Repeat("é", 500):    strings.Repeat("é", 500),
		strings.Repeat("é", 501):    strings.Repeat("é", 500) + "...",
		strings.Repeat("\x00", 1e6): strings.Repeat(`\x00`, 125) + "...",
	} {
		if got := printable.Text(in); got != want {
			t.Errorf("%.40q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("\x1b]0;title\a \u202e \x80")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable.Text(s)
		if utf8.RuneCountInString(got) > 503 || !utf8.ValidString(got) {
			t.Errorf("%q: got %d characters, or not UTF-8", s, utf8.RuneCountInString(got))
		}
		for _, r := range got {
			if printable.Text("x"+string(r)+"x") != "x"+string(r)+"x" {
				t.Errorf("%q: %q is in the result", s, r)
			}
		}
	})
}
