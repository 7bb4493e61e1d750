package terminal

import (
	"fmt"
	"io"
	"time"
)

// A Progress shows on Out that something is waited for: Text once, and below it,
// if Out is a terminal, a line that counts the time. That line is short: a line
// wider than the terminal could not be overwritten.
type Progress struct {
	Out  io.Writer
	Text string

	since time.Time // zero before the first Show
}

// Show shows the text, or at later calls the time.
func (p *Progress) Show() {
	if p.since.IsZero() {
		p.since = time.Now()
		fmt.Fprintln(p.Out, p.Text)
	}
	if Is(p.Out) {
		fmt.Fprintf(p.Out, "\r(%v) ", time.Since(p.since).Round(time.Second))
	}
}

// End begins a new line if the time is shown.
func (p *Progress) End() {
	if !p.since.IsZero() && Is(p.Out) {
		fmt.Fprintln(p.Out)
	}
}
