// Package tomlfile reads a TOML file and reports every mistake in it with its line.
//
// The caller asks a [Section] for the keys that it knows. A value of another kind is
// a mistake, and so is a key that the caller did not ask for.
package tomlfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
)

// maxMistakes is the number of mistakes in one file that are reported.
const maxMistakes = 20

// An Error is a mistake in a file.
type Error struct {
	File string
	Line int // 1 for the first
	Msg  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s", printable.Text(e.File), e.Line, e.Msg)
}

// Read parses data and calls read with the root of the file. Errors name the file as
// file. The result is all mistakes joined, each an *[Error], or nil.
func Read(data []byte, file string, read func(root *Section)) error {
	data = keyfile.Text(data)
	r := &reader{file: file, data: data}
	for i, c := range data {
		if c == '\n' {
			r.breaks = append(r.breaks, i)
		}
	}
	// The decoder finds all syntax errors and keys that are defined twice. Only the
	// parser below it tells the lines of values.
	var syntax map[string]any
	if err := toml.Unmarshal(data, &syntax); err != nil {
		line := 1
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = e.Position()
		}
		r.errorf(line, "not TOML: %s", printable.Text(err.Error()))
		return errors.Join(r.mistakes...)
	}
	root := r.parse()
	read(root)
	root.reportUnknown()
	slices.SortStableFunc(r.mistakes, func(a, b error) int { return a.(*Error).Line - b.(*Error).Line })
	return errors.Join(r.mistakes...)
}

type reader struct {
	file     string
	data     []byte
	breaks   []int // the offsets of the line breaks in data
	parser   unstable.Parser
	mistakes []error
}

func (r *reader) errorf(line int, format string, args ...any) {
	switch len(r.mistakes) {
	case maxMistakes + 1:
		return
	case maxMistakes:
		line = strings.Count(string(r.data), "\n") + 1
		format, args = "there may be more mistakes: %d are shown", []any{maxMistakes}
	}
	r.mistakes = append(r.mistakes, &Error{r.file, max(line, 1), fmt.Sprintf(format, args...)})
}

// parse builds the tree of sections. Read has checked that data is TOML.
func (r *reader) parse() *Section {
	r.parser.Reset(r.data)
	root := r.section(1)
	in := root
	for r.parser.NextExpression() {
		e := r.parser.Expression()
		switch path, line := r.path(e); e.Kind {
		case unstable.Table:
			in = root.descend(path, line)
		case unstable.ArrayTable:
			in = root.descend(path[:len(path)-1], line).append(path[len(path)-1], line)
		case unstable.KeyValue:
			in.add(path, line, e.Value())
		}
	}
	return root
}

func (r *reader) section(line int) *Section {
	return &Section{reader: r, line: line, fields: map[string]*field{}}
}

// path returns the parts of a dotted key and the line that it is in.
func (r *reader) path(n *unstable.Node) (path []string, line int) {
	for it := n.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
		line = r.line(it.Node(), line)
	}
	return path, line
}

// line returns the line of n, or otherwise if the parser does not know it.
func (r *reader) line(n *unstable.Node, otherwise int) int {
	if n.Raw.Length == 0 {
		return otherwise
	}
	// Parser.Shape would read the file from its start for each value.
	before, _ := slices.BinarySearch(r.breaks, int(n.Raw.Offset))
	return before + 1
}
