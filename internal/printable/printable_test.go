package printable_test

import (
	"encoding/json"
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

func TestQuote(t *testing.T) {
	if got, want := printable.Quote("a\x1b[2J"), `"a\x1b[2J"`; got != want {
		t.Errorf("got %s, want %s", got, want)
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

func TestLines(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"one\n  two: x\n":                 "one\n  two: x\n",
		"one\r\ntwo\x1b[2J\t.":            "one\ntwo\\x1b[2J .",
		"a\rb":                            "a b",
		strings.Repeat("é", 3000) + "\nx": strings.Repeat("é", 2000) + "...\nx",
	} {
		if got := printable.Lines(in); got != want {
			t.Errorf("%.40q: got %q, want %q", in, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, in := range []string{"plain, grün", "a\u202eb\u009b\x7f\x1b\u2028", "\U000e0001 tag", "\n\t\"\\"} {
		text, err := json.MarshalIndent([]string{in}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got := printable.JSON(text)
		var back []string
		if err := json.Unmarshal(got, &back); err != nil || back[0] != in {
			t.Errorf("%q became %q, %v", in, back, err)
		}
		if printable.Lines(string(got)) != string(got) {
			t.Errorf("%q has characters that are not printable", got)
		}
	}
}
