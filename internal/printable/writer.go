package printable

import (
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// ErrNotText means that content has a character that is no text for a terminal.
var ErrNotText = errors.New("the content is not text for a terminal")

// A Writer writes text in UTF-8 to a terminal. It returns ErrNotText and stops before
// the first character that is invisible, moves the cursor within the screen or changes
// the direction of writing, and before the first byte that is not UTF-8.
type Writer struct {
	W io.Writer

	rest []byte // the start of a character, or a carriage return
	err  error
}

// Write writes the text of p. The end of p may wait for the next call.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	text := append(w.rest, p...)
	n := textLength(text)
	if rest := text[n:]; len(rest) > 0 && !isStart(rest) {
		w.err = ErrNotText
	}
	w.rest = append([]byte(nil), text[n:]...)
	if _, err := w.W.Write(text[:n]); err != nil {
		w.err = err
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close returns ErrNotText if the text ends within a character. It does not close W.
func (w *Writer) Close() error {
	if w.err == nil && len(w.rest) > 0 {
		w.err = ErrNotText
	}
	return w.err
}

// textLength returns the length of the text at the start of p.
func textLength(p []byte) int {
	n := 0
	for n < len(p) {
		r, size := utf8.DecodeRune(p[n:])
		switch {
		case r == '\r' && n+1 < len(p) && p[n+1] == '\n':
			size = 2
		case r == utf8.RuneError && size == 1, !isText(r):
			return n
		}
		n += size
	}
	return n
}

// isStart reports whether p may be the start of a character or of a line end.
func isStart(p []byte) bool { return len(p) == 1 && p[0] == '\r' || !utf8.FullRune(p) }

// isText reports whether a terminal can show r. Spaces of all widths, the byte order
// mark and the joiners of letters and emoji do no harm.
func isText(r rune) bool {
	switch r {
	case '\t', '\n', '\ufeff', '\u200c', '\u200d':
		return true
	}
	return strconv.IsGraphic(r)
}
