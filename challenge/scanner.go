package challenge

import (
	"fmt"
	"strings"
)

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
	return strings.ToLower(s.line[start:s.pos])
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
