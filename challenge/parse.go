package challenge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What Parse takes at most. A registry sends one line of 200 bytes.
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
// A malformed line yields no challenge, for that would be a guess. Those of the
// other lines are returned all the same, beside an error that says for each
// malformed line its number (from 1), the byte offset (from 0) where it goes
// wrong, and why; it repeats none of the text. A line of more than 8 KiB is
// malformed, and so is every line after the eighth.
func Parse(h http.Header) (all []Challenge, err error) {
	// A lone challenge, the usual case, allocates nothing if the caller keeps no
	// hold of it: Parse is inlined, which puts these two on the caller's stack.
	var one [1]Challenge
	one[0], all, err = parse(h, one[:], make([]Param, 0, 3))
	return all, err
}

// parse returns a lone challenge, made with params, and one; or no challenge
// and a slice that holds all.
func parse(h http.Header, one []Challenge, params []Param) (Challenge, []Challenge, error) {
	lines := h["Www-Authenticate"]
	if len(lines) == 1 && len(lines[0]) <= maxLine {
		s := scanner{line: lines[0]}
		if c, err := s.challenge(params); err == nil && s.pos == len(s.line) {
			return c, one, nil
		}
	}
	all, err := parseLines(lines)
	return Challenge{}, all, err
}

func parseLines(lines []string) ([]Challenge, error) {
	var all []Challenge
	var errs []error
	for i, line := range lines {
		if i == maxLines {
			errs = append(errs, fmt.Errorf("WWW-Authenticate line %d and on: more than %d lines", i+1, maxLines))
			break
		}
		challenges, err := parseLine(line)
		if err != nil {
			errs = append(errs, fmt.Errorf("WWW-Authenticate line %d, %w", i+1, err))
			continue
		}
		all = append(all, challenges...)
	}
	return all, errors.Join(errs...)
}

func parseLine(line string) ([]Challenge, error) {
	s := scanner{line: line}
	if len(line) > maxLine {
		s.pos = maxLine
		return nil, s.malformed("more than 8 KiB")
	}
	var challenges []Challenge
	s.skip(ows | comma)
	for s.pos < len(line) {
		c, err := s.challenge(nil)
		if err != nil {
			return nil, err
		}
		challenges = append(challenges, c)
	}
	return challenges, nil
}
