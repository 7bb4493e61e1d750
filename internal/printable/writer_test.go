package printable_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/countersign/countersign/internal/printable"
)

func TestWriter(t *testing.T) {
	for name, tt := range map[string]struct {
		text, want string // want is "" if all of text is written
	}{
		"ASCII":           {text: "a line\nand\ta tab\r\n"},
		"UTF-8":           {text: "büro 漢字 \u00a0«x» 👩\u200d💻\n"},
		"byte order mark": {text: "\ufeff{}"},
		"empty":           {text: ""},
		"NUL":             {text: "gzip\x00\x01", want: "gzip"},
		"escape":          {text: "ab\x1b[31mred", want: "ab"},
		"C1":              {text: "ab\u009b31m", want: "ab"},
		"C1 byte":         {text: "ab\x9b31m", want: "ab"},
		"right to left":   {text: "ab\u202etxt", want: "ab"},
		"overwritten":     {text: "one\rtwo", want: "one"},
		"invisible":       {text: "a\u200bb", want: "a"},
		"backspace":       {text: "a\bb", want: "a"},
		"cut character":   {text: "b\xc3", want: "b"},
		"cut line end":    {text: "b\r", want: "b"},
		"not UTF-8":       {text: "b\xfc\xc3ro", want: "b"},
	} {
		for way, r := range map[string]io.Reader{
			"in one piece": strings.NewReader(tt.text),
			"bytewise":     iotest.OneByteReader(strings.NewReader(tt.text)),
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				var out bytes.Buffer
				w := &printable.Writer{W: &out}
				_, err := io.Copy(w, r)
				err = errors.Join(err, w.Close())
				want := tt.want
				if want == "" {
					want = tt.text
				}
				if out.String() != want || errors.Is(err, printable.ErrNotText) != (want != tt.text) {
					t.Errorf("wrote %q, %v; want %q of %q", &out, err, want, tt.text)
				}
			})
		}
	}
}

// FuzzWriter holds that the pieces of a text make no difference and that no control
// character is written.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("büro\r\n\x1b[31m"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		whole, cutInTwo := &bytes.Buffer{}, &bytes.Buffer{}
		one, two := &printable.Writer{W: whole}, &printable.Writer{W: cutInTwo}
		_, _ = one.Write(text)
		if cut < 0 || cut > len(text) {
			cut = len(text) / 2
		}
		_, _ = two.Write(text[:cut])
		_, _ = two.Write(text[cut:])
		if whole.String() != cutInTwo.String() || (one.Close() == nil) != (two.Close() == nil) {
			t.Errorf("%q: %q in one piece and %q in two", text, whole, cutInTwo)
		}
		if i := strings.IndexFunc(whole.String(), func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n", r) || 0x7f <= r && r < 0xa0 }); i >= 0 {
			t.Errorf("%q: a control character was written", text)
		}
	})
}
