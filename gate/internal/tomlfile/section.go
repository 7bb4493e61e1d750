package tomlfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/spelling"
)

// A Section is a table of the file. Its methods return the zero value for a key that
// is absent or has a mistake.
type Section struct {
	reader *reader
	line   int
	fields map[string]*field
	known  []string // the keys that the caller asked for
}

// A field is a key with its value: a scalar, a list, a section, or several sections.
type field struct {
	line     int
	kind     unstable.Kind
	text     string // of a scalar
	list     []*field
	sections []*Section
}

// A Text is a string with its line.
type Text struct {
	Value string
	Line  int
}

// Line returns the line of key, or that of the section if key is absent.
func (s *Section) Line(key string) int {
	if f := s.fields[key]; f != nil {
		return f.line
	}
	return s.line
}

// Has reports whether key is there, with any value.
func (s *Section) Has(key string) bool { return s.fields[key] != nil }

// Errorf reports a mistake in the value of key.
func (s *Section) Errorf(key, format string, args ...any) {
	s.ErrorAt(s.Line(key), "%s: %s", key, fmt.Sprintf(format, args...))
}

// ErrorAt reports a mistake in a line.
func (s *Section) ErrorAt(line int, format string, args ...any) {
	s.reader.errorf(line, format, args...)
}

// Text returns the string that key has.
func (s *Section) Text(key string) string {
	f := s.scalar(key, unstable.String, `want a string, such as "text"`)
	if f == nil {
		return ""
	}
	return f.text
}

// Flag returns the truth value that key has.
func (s *Section) Flag(key string) bool {
	f := s.scalar(key, unstable.Bool, "want true or false, without quotes")
	return f != nil && f.text == "true"
}

// Number returns the positive number that key has, or otherwise if key is absent.
func (s *Section) Number(key string, otherwise int) int {
	const want = "want a whole number above zero, without quotes"
	f := s.scalar(key, unstable.Integer, want)
	if f == nil {
		return otherwise
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(f.text, "_", ""), 0, 32)
	if err != nil || n <= 0 {
		s.Errorf(key, want)
		return otherwise
	}
	return int(n)
}

// Duration returns the positive duration that key has, or otherwise if key is absent.
func (s *Section) Duration(key string, otherwise time.Duration) time.Duration {
	const want = `want a duration, such as "90s" or "5m"`
	f := s.scalar(key, unstable.String, want)
	if f == nil {
		return otherwise
	}
	d, err := time.ParseDuration(f.text)
	if err != nil || d <= 0 {
		s.Errorf(key, want)
		return otherwise
	}
	return d
}

// Texts returns the list of strings that key has.
func (s *Section) Texts(key string) []Text {
	const want = `want a list of strings, such as ["a", "b"]`
	f := s.field(key)
	if f == nil {
		return nil
	}
	if f.kind != unstable.Array || len(f.sections) > 0 {
		s.Errorf(key, want)
		return nil
	}
	var texts []Text
	for _, element := range f.list {
		if element.kind != unstable.String {
			s.ErrorAt(element.line, "%s: %s", key, want)
			continue
		}
		texts = append(texts, Text{element.text, element.line})
	}
	return texts
}

// IsEmpty reports whether key has a list without elements.
func (s *Section) IsEmpty(key string) bool {
	f := s.field(key)
	return f != nil && f.kind == unstable.Array && len(f.list) == 0
}

// Section returns the section [key], empty if there is none.
func (s *Section) Section(key string) *Section {
	f := s.field(key)
	if f == nil {
		return s.reader.section(s.line)
	}
	if f.kind != unstable.Table {
		s.ErrorAt(f.line, "%s is a section: write [%s]", key, key)
		return s.reader.section(s.line)
	}
	return f.sections[0]
}

// Sections returns the sections [[key]] in their order.
func (s *Section) Sections(key string) []*Section {
	f := s.field(key)
	if f == nil {
		return nil
	}
	if f.kind != unstable.ArrayTable {
		s.ErrorAt(f.line, "%s may come several times: write [[%s]]", key, key)
		return nil
	}
	return f.sections
}

func (s *Section) scalar(key string, kind unstable.Kind, want string) *field {
	f := s.field(key)
	if f == nil {
		return nil
	}
	if f.kind != kind {
		s.Errorf(key, "%s", want)
		return nil
	}
	return f
}

func (s *Section) field(key string) *field {
	s.known = append(s.known, key)
	return s.fields[key]
}

// reportUnknown reports the keys that nobody asked for, in s and below.
func (s *Section) reportUnknown() {
	byLine := func(a, b string) int { return s.fields[a].line - s.fields[b].line }
	for _, key := range slices.SortedFunc(maps.Keys(s.fields), byLine) {
		f := s.fields[key]
		if !slices.Contains(s.known, key) {
			s.ErrorAt(f.line, "unknown key %s%s", printable.Quote(key), s.suggest(key))
			continue
		}
		for _, sub := range f.sections {
			sub.reportUnknown()
		}
	}
}

func (s *Section) suggest(key string) string {
	if best := spelling.Nearest(key, s.known); best != "" {
		return ": did you mean " + strconv.Quote(best) + "?"
	}
	return ": known are " + strings.Join(slices.Compact(slices.Sorted(slices.Values(s.known))), ", ")
}

// descend returns the section that path leads to. Of several sections [[key]] it is
// the last.
func (s *Section) descend(path []string, line int) *Section {
	for _, key := range path {
		f := s.fields[key]
		if f == nil {
			f = &field{line: line, kind: unstable.Table, sections: []*Section{s.reader.section(line)}}
			s.fields[key] = f
		}
		s = f.sections[len(f.sections)-1]
	}
	return s
}

// append adds another section [[key]].
func (s *Section) append(key string, line int) *Section {
	f := s.fields[key]
	if f == nil {
		f = &field{line: line, kind: unstable.ArrayTable}
		s.fields[key] = f
	}
	f.sections = append(f.sections, s.reader.section(line))
	return f.sections[len(f.sections)-1]
}

// add adds the value of a dotted key.
func (s *Section) add(path []string, line int, value *unstable.Node) {
	last := len(path) - 1
	s.descend(path[:last], line).fields[path[last]] = s.read(line, value)
}

func (s *Section) read(line int, value *unstable.Node) *field {
	f := &field{line: line, kind: value.Kind, text: string(value.Data)}
	switch value.Kind {
	case unstable.Array:
		for it := value.Children(); it.Next(); {
			f.list = append(f.list, s.read(s.reader.line(it.Node(), line), it.Node()))
		}
	case unstable.InlineTable:
		f.kind = unstable.Table
		f.sections = []*Section{s.reader.section(line)}
		for it := value.Children(); it.Next(); {
			path, line := s.reader.path(it.Node())
			f.sections[0].add(path, line, it.Node().Value())
		}
	}
	return f
}
