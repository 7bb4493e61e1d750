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
	for _, p := range c.Params {
		if strings.EqualFold(p.Name, name) {
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

// Bearer returns the first challenge of a response's header that a [Client] can
// answer: one with the scheme Bearer that names its realm. Errors:
// ErrNoChallenge; ErrReply if there might be one in a malformed field.
func Bearer(h http.Header) (Challenge, error) {
	all, err := Parse(h)
	for _, ch := range all {
		if answerable(ch) {
			return ch, nil
		}
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("%w: %w", ErrReply, err)
	}
	return Challenge{}, ErrNoChallenge
}

func answerable(ch Challenge) bool { return ch.Scheme == "bearer" && ch.Get("realm") != "" }

// A scanner reads one line, in which commas separate the challenges and also the
// parameters of each (RFC 9110, sections 5.6 and 11):
//
//	challenge  = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//	auth-param = token BWS "=" BWS ( token / quoted-string )
//
// A "=" follows the name of a parameter and cannot follow an auth-scheme, so it tells
// whether a comma separates parameters or challenges.
type scanner struct {
	line string
	pos  int
}

// challenge reads a challenge and the commas after it.
func (s *scanner) challenge() (c Challenge, err error) {
	if c.Scheme = s.token(); c.Scheme == "" {
		return c, s.malformed("want an auth-scheme")
	}
	start := s.pos
	if s.skip(space); s.pos == start {
		return c, s.endElement()
	}
	if c.Token68 = s.token68(); c.Token68 != "" {
		return c, s.endElement()
	}
	err = s.params(&c)
	return c, err
}

// params reads the parameters of c and the commas after them.
func (s *scanner) params(c *Challenge) error {
	name := s.paramName()
	if name == "" { // an empty list element, or the end of the line
		if !s.elementEnds() {
			return s.malformed("want a parameter or a token68")
		}
		s.skip(ows | comma)
		name = s.paramName()
	}
	var repeated []string
	for ; name != ""; name = s.paramName() {
		exact := isExact(c.Scheme, name)
		if c.has(name) {
			if exact {
				return s.malformed("a second value for the same parameter")
			}
			repeated = append(repeated, name)
		}
		if err := s.param(c, name, exact); err != nil {
			return err
		}
		if err := s.endElement(); err != nil {
			return err
		}
	}
	c.leaveOut(repeated)
	return nil
}

// isExact reports whether a parameter decides where a signature goes. Such a
// parameter must be well formed.
func isExact(scheme, name string) bool {
	return scheme == "bearer" && (name == "realm" || name == "service")
}

// paramName reads the name of a parameter and its "=", or nothing at all if no
// parameter is here.
func (s *scanner) paramName() string {
	start := s.pos
	name := s.token()
	s.skip(ows)
	if name == "" || s.pos == len(s.line) || s.line[s.pos] != '=' {
		s.pos = start
		return ""
	}
	s.pos++
	s.skip(ows)
	return name
}

// param reads the value of the parameter of that name.
func (s *scanner) param(c *Challenge, name string, exact bool) (err error) {
	p := Param{Name: name}
	if s.pos < len(s.line) && s.line[s.pos] == '"' {
		p.Value, err = s.quoted()
	} else {
		p.Value, err = s.unquoted(c, name, exact)
	}
	if c.Params == nil {
		c.Params = make([]Param, 0, 3) // realm, service and scope
	}
	c.Params = append(c.Params, p)
	return err
}

// unquoted reads a token. Some servers send values without quotes that are no tokens:
// unless the value must be exact, it ends at a comma or at white space.
func (s *scanner) unquoted(c *Challenge, name string, exact bool) (string, error) {
	start := s.pos
	s.skip(tchar)
	end := s.pos
	if end > start && (exact || s.elementEnds()) {
		return s.line[start:end], nil
	}
	if exact {
		return "", s.malformed("want a token or a quoted string")
	}
	s.pos = start
	s.skip(loose)
	end = s.pos
	s.skip(loose | ows) // text after white space, up to a comma
	c.Tolerated = append(c.Tolerated, name+" is not in quotes")
	return s.line[start:end], nil
}

// quoted reads a quoted-string.
func (s *scanner) quoted() (string, error) {
	s.pos++
	value := ""
	for {
		start := s.pos
		s.skip(qdtext)
		value += s.line[start:s.pos]
		switch rest := s.line[s.pos:]; {
		case rest == "":
			return "", s.malformed("the quoted string does not end")
		case rest[0] == '"':
			s.pos++
			return value, nil
		case rest[0] == '\\' && len(rest) > 1 && classes[rest[1]]&escapable != 0:
			value += rest[1:2]
			s.pos += 2
		default:
			return "", s.malformed("not allowed in a quoted string")
		}
	}
}

// token68 reads a token68 if it is all of this list element, else nothing.
func (s *scanner) token68() string {
	start := s.pos
	if s.skip(t68); s.pos > start {
		s.skip(equals)
	}
	end := s.pos
	if !s.elementEnds() {
		s.pos = start
		return ""
	}
	return s.line[start:end]
}

// token reads a token and returns it in lower case, or "" if none is here.
func (s *scanner) token() string {
	start := s.pos
	s.skip(tchar)
	return lowerASCII(s.line[start:s.pos])
}

// elementEnds skips white space and reports whether a list element ends there.
func (s *scanner) elementEnds() bool {
	s.skip(ows)
	return s.pos == len(s.line) || s.line[s.pos] == ','
}

// endElement skips the end of a list element and the commas after it.
func (s *scanner) endElement() error {
	if !s.elementEnds() {
		return s.malformed("want a comma or the end of the line")
	}
	s.skip(ows | comma)
	return nil
}

// skip skips the bytes that are in one of the classes.
func (s *scanner) skip(c class) {
	i := s.pos
	for i < len(s.line) && classes[s.line[i]]&c != 0 {
		i++
	}
	s.pos = i
}

func (s *scanner) malformed(reason string) error {
	return fmt.Errorf("offset %d: %s", s.pos, reason)
}

// A class is a set of bytes (RFC 9110, sections 5.6 and 11.2).
type class uint16

const (
	tchar  class = 1 << iota
	t68          // token68 without its padding
	equals       // the padding
	space
	ows // space or tab
	comma
	qdtext
	escapable // after the backslash of a quoted-pair
	loose     // in an unquoted value of a server that forgets the quotes
)

// classes holds for each byte the classes that it is in.
var classes = func() (t [256]class) {
	add := func(c class, bytes string) {
		for i := range len(bytes) {
			t[bytes[i]] |= c
		}
	}
	add(tchar|t68, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	add(tchar|t68, "abcdefghijklmnopqrstuvwxyz0123456789-._~+")
	add(tchar, "!#$%&'*^`|")
	add(t68, "/")
	add(equals, "=")
	add(space|ows, " ")
	add(ows, "\t")
	add(comma, ",")
	for b := range t {
		if b == '\t' || b >= ' ' && b != 0x7f {
			t[b] |= qdtext | escapable
		}
		if b > ' ' && b != 0x7f && b != '"' && b != ',' {
			t[b] |= loose
		}
	}
	t['"'] &^= qdtext
	t['\\'] &^= qdtext
	return t
}()
