package challenge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Limits of Parse. A registry sends one line of 200 bytes.
const (
	maxLines = 8
	maxLine  = 8 << 10
)

// A Challenge is one challenge of WWW-Authenticate (RFC 9110, section 11.6.1).
// It has a Token68, or Params, or neither.
type Challenge struct {
	Scheme  string  // in lower case: "bearer", "basic", "negotiate"
	Token68 string  // as sent, with its padding
	Params  []Param // in the order sent; no name comes twice

	// Tolerated lists the mistakes of the server that Parse tolerated, each in words:
	// "scope is not in quotes". The error of a request that fails mentions them.
	Tolerated []string
}

// A Param is one auth-param of a Challenge.
type Param struct {
	Name  string // in lower case
	Value string // without its quotes; the only control character in it is a tab
}

// Get returns the value of the parameter of that name, in any case, or "" if
// there is none.
func (c Challenge) Get(name string) string {
	name = strings.ToLower(name)
	for _, p := range c.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

func (c Challenge) has(name string) bool {
	return slices.ContainsFunc(c.Params, func(p Param) bool { return p.Name == name })
}

// leaveOut removes the parameters of these names: clients differ in which of two values
// they use.
func (c *Challenge) leaveOut(repeated []string) {
	slices.Sort(repeated)
	for _, name := range slices.Compact(repeated) {
		c.Params = slices.DeleteFunc(c.Params, func(p Param) bool { return p.Name == name })
		c.Tolerated = append(c.Tolerated, name+" is given more than once and was ignored")
	}
	if len(c.Params) == 0 {
		c.Params = nil
	}
}

// String returns c as a server may send it, with every value in quotes. A
// parsed Challenge comes out of it again when it is parsed.
func (c Challenge) String() string {
	var b strings.Builder
	b.WriteString(c.Scheme)
	if c.Token68 != "" {
		b.WriteString(" " + c.Token68)
	}
	sep := " "
	for _, p := range c.Params {
		b.WriteString(sep + p.Name + `="` + quotedPairs.Replace(p.Value) + `"`)
		sep = ", "
	}
	return b.String()
}

var quotedPairs = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Parse returns the challenges of all WWW-Authenticate lines of h, in order.
//
// A malformed line yields no challenge, because each challenge in it would be a guess.
// The challenges of the other lines are returned together with an error. For each
// malformed line the error gives its number (from 1), the byte offset (from 0) of the
// mistake, and the mistake; it repeats no text of the line. A line of more than 8 KiB
// is malformed, and so is every line after the eighth.
//
// The realm and service of a Bearer challenge decide where a signature goes: they must
// be as RFC 9110 has them. Mistakes in other parameters are tolerated: a value without
// quotes ends at a comma or at white space, and a parameter that comes twice is left
// out.
func Parse(h http.Header) ([]Challenge, error) {
	var all []Challenge
	var errs []error
	for i, line := range h["Www-Authenticate"] {
		if i == maxLines {
			errs = append(errs, fmt.Errorf("WWW-Authenticate line %d and on: more than %d lines", i+1, maxLines))
			break
		}
		var err error
		if all, err = appendChallenges(all, line); err != nil {
			errs = append(errs, fmt.Errorf("WWW-Authenticate line %d, %w", i+1, err))
		}
	}
	return all, errors.Join(errs...)
}

// appendChallenges appends the challenges of a line to all, or none of them if the
// line is malformed.
func appendChallenges(all []Challenge, line string) ([]Challenge, error) {
	s := scanner{line: line}
	if len(line) > maxLine {
		s.pos = maxLine
		return all, s.malformed("more than 8 KiB")
	}
	more := all
	s.skip(ows | comma)
	for s.pos < len(line) {
		c, err := s.challenge()
		if err != nil {
			return all, err
		}
		more = append(more, c)
	}
	return more, nil
}
