package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"github.com/countersign/countersign/internal/terminal"
)

// printFindings leaves room for the longest state and check before what was
// seen, and does not count in the escapes of a colour.
func (a *app) printFindings(found []finding) error {
	var b strings.Builder
	for _, f := range found {
		mark := a.colour(f.State).Sprintf("%-*s", len(stateProblem), f.State)
		seen := a.safe(f.Seen)
		if f.About != "" {
			seen = a.safe(f.About) + ": " + seen
		}
		fmt.Fprintf(&b, "%s   %-13s   %s\n", mark, f.Check, seen)
		if f.Do != "" {
			fmt.Fprintf(&b, "%*s%s\n", len(stateProblem)+13+6, "", strings.ReplaceAll("-> "+a.safe(f.Do), "\n", "\n   "))
		}
	}
	if count(found, stateProblem) == 0 {
		fmt.Fprintf(&b, "\nNo problem, %s.\n", plural(count(found, stateWarning), "warning"))
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// colour has none but on a terminal, and none with NO_COLOR or TERM=dumb.
func (a *app) colour(s state) *color.Color {
	c := map[state]*color.Color{
		stateOK:      color.New(color.FgGreen),
		stateNote:    color.New(),
		stateWarning: color.New(color.FgYellow),
		stateProblem: color.New(color.FgRed, color.Bold),
	}[s]
	if !terminal.Is(a.stdout) {
		c.DisableColor()
	}
	return c
}
