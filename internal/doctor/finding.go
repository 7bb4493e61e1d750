package doctor

import (
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/remedy"
)

// A State tells how bad a finding is.
type State string

// The states.
const (
	OK      State = "ok"
	Note    State = "note"    // a store that is not here, or a thing that could not be looked at
	Warning State = "warning" // it may work nevertheless
	Problem State = "problem"
)

// A Finding is the result of a check. Its JSON form is documented in
// docs/doctor.md and does not change. Its texts are safe to print on a terminal.
type Finding struct {
	State State  `json:"state"`
	Check string `json:"check"`
	About string `json:"about,omitempty"` // tells apart findings of one check
	Seen  string `json:"seen"`
	Do    string `json:"do,omitempty"` // the remedy; may have several lines
}

// A Subject names the thing that a check looks at.
type Subject struct {
	Check string // the name of the check
	About string // tells apart checks of one name; may be ""
}

// found returns a finding about s. do may be "".
func (s Subject) found(state State, seen, do string) Finding {
	return Finding{state, s.Check, printable.Text(s.About), printable.Text(seen), printable.Lines(do)}
}

// failed returns a finding about an error, with its remedy.
func (s Subject) failed(state State, err error) Finding {
	return s.found(state, err.Error(), remedy.Of(err))
}

// Count returns the number of findings with this state.
func Count(found []Finding, s State) int {
	n := 0
	for _, f := range found {
		if f.State == s {
			n++
		}
	}
	return n
}
