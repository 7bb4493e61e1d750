package terminal

import (
	"fmt"
	"io"
	"time"
)

// transferInterval is the time between two updates of the line.
const transferInterval = 100 * time.Millisecond

// A Transfer shows on Out, a terminal, how much of a download is stored.
type Transfer struct {
	Out io.Writer

	last  time.Time // of the last update
	width int       // of the line that is shown
}

// Show shows the number of stored bytes and, if size is known (not negative), the
// share of the whole.
func (t *Transfer) Show(stored, size int64) {
	if now := time.Now(); stored == size || now.Sub(t.last) >= transferInterval {
		t.last = now
		t.print(transferred(stored, size))
	}
}

// End removes the line.
func (t *Transfer) End() {
	if t.width > 0 {
		t.print("")
		fmt.Fprint(t.Out, "\r")
	}
}

// print overwrites the line with text.
func (t *Transfer) print(text string) {
	fmt.Fprintf(t.Out, "\r%-*s", t.width, text)
	t.width = len(text)
}

// transferred returns a text such as "12.3 MB of 45.6 MB, 27 %".
func transferred(stored, size int64) string {
	switch {
	case size < 0:
		return byteSize(stored)
	case size == 0:
		return "0 B of 0 B, 100 %"
	}
	return fmt.Sprintf("%s of %s, %d %%", byteSize(stored), byteSize(size), int(float64(stored)/float64(size)*100))
}

// byteSize returns n in a unit of three decimal digits each, such as "12.3 MB".
func byteSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 999.95 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit])
}
