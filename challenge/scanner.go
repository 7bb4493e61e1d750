package challenge

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// A scanner reads one line, in which commas part the challenges and also the
// parameters of each (RFC 9110, sections 5.6 and 11):
//
//	challenge  = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//	auth-param = token BWS "=" BWS ( token / quoted-string )
//
// A "=" follows the name of a parameter and cannot follow an auth-scheme: this
// tells what comes after a comma.
type scanner struct {
	line string
	pos  int
}

// challenge reads a challenge and the commas after it. It appends to params.
func (s *scanner) challenge(params []Param) (c Challenge, err error) {
	if c.Scheme = s.token(); c.Scheme == "" {
		return c, s.malformed("want an auth-scheme")
	}
	start := s.pos
	s.skip(space)
	open := s.pos > start // parameters may follow
	if open {
		if c.Token68 = s.token68(); c.Token68 != "" {
			open = false
		} else if name := s.paramName(); name != "" {
			c.Params, err = s.appendParam(params, name)
		} else if !s.elementEnds() {
			err = s.malformed("want a parameter or a token68")
		}
	}
	for err == nil {
		if !s.elementEnds() {
			return c, s.malformed("want a comma or the end of the line")
		}
		s.skip(ows | comma)
		if !open {
			return c, nil
		}
		name := s.paramName()
		if name == "" {
			return c, nil
		}
		c.Params, err = s.appendParam(c.Params, name)
	}
	return c, err
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

func (s *scanner) appendParam(params []Param, name string) ([]Param, error) {
	for _, p := range params {
		if p.Name == name {
			return nil, s.malformed("a second value for the same parameter")
		}
	}
	value, err := s.value()
	return append(params, Param{name, value}), err
}

func (s *scanner) value() (string, error) {
	if s.pos < len(s.line) && s.line[s.pos] == '"' {
		return s.quoted()
	}
	start := s.pos
	if s.skip(tchar); s.pos == start {
		return "", s.malformed("want a token or a quoted string")
	}
	return s.line[start:s.pos], nil
}

// quoted reads a quoted-string. It copies only to take out a quoted-pair.
func (s *scanner) quoted() (string, error) {
	s.pos++
	start := s.pos
	var unquoted []byte // what comes before start, if anything was taken out
	for {
		s.pos = skipPlain(s.line, s.pos)
		if s.pos == len(s.line) {
			return "", s.malformed("the quoted string does not end")
		}
		switch b := s.line[s.pos]; {
		case classes[b]&qdtext != 0:
			s.skip(qdtext)
		case b == '"':
			text := s.line[start:s.pos]
			s.pos++
			if unquoted == nil {
				return text, nil
			}
			return string(append(unquoted, text...)), nil
		case b == '\\' && s.pos+1 < len(s.line) && classes[s.line[s.pos+1]]&escapable != 0:
			unquoted = append(unquoted, s.line[start:s.pos]...)
			start = s.pos + 1
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
	s.skip(lower)
	end := s.pos
	if s.skip(tchar); s.pos == end {
		return s.line[start:end]
	}
	if s.line[start:s.pos] == "Bearer" {
		return "bearer" // spares an allocation with every registry
	}
	return strings.ToLower(s.line[start:s.pos])
}

// elementEnds skips white space and reports whether a list element ends there.
func (s *scanner) elementEnds() bool {
	s.skip(ows)
	return s.pos == len(s.line) || s.line[s.pos] == ','
}

func (s *scanner) skip(c class) {
	line, i := s.line, s.pos
	for i < len(line) && classes[line[i]]&c != 0 {
		i++
	}
	s.pos = i
}

func (s *scanner) malformed(why string) error {
	return fmt.Errorf("offset %d: %s", s.pos, why)
}

// skipPlain returns an index from i on before which s is plain: printable ASCII
// without quotes and backslashes. A realm is long, so it looks at eight bytes at
// once and leaves the last few to the caller. Each term of special has the top
// bit set in every byte that it looks for; a borrow or carry may set others, but
// only above one of those.
func skipPlain(s string, i int) int {
	const each = 0x0101010101010101
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64([]byte(s[i : i+8]))
		special := (x - ' '*each) | (x + each) | ((x ^ '"'*each) - each) | ((x ^ '\\'*each) - each)
		if special &= 0x80 * each; special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	return i
}
