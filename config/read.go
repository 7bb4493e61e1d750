package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/internal/printable"
)

// A reader goes through a file from top to bottom. It uses package unstable, because
// only the library's parser tells the line of a value. The functions that it uses have
// not changed since go-toml 2.1.
type reader struct {
	mistakes
	parser unstable.Parser
	lines  lines
	config *Config
}

// A table lists the names that one table of the file may have.
type table struct {
	values map[string]setter
	tables map[string]table
	named  func(name string, line int) (table, error) // tables whose names the user chooses

	// unquoted returns the message about a table inside this table. There are none, so
	// name is the part behind a dot of a name that lacks its quotes.
	unquoted func(name string) string
}

func (r *reader) read(data []byte) {
	r.lines = linesOf(data)
	if r.parser.Reset(data); !r.checkTOML(data) {
		return
	}
	r.parser.Reset(data)
	root := r.root()
	in, isSection := root, true
	for !r.isFull() && r.parser.NextExpression() {
		e := r.parser.Expression()
		path, line := r.path(e)
		switch e.Kind {
		case unstable.Table:
			in, isSection = r.enter(root, path, line)
		case unstable.ArrayTable:
			r.errorf(line, "no section may come twice: write [ ] instead of [[ ]]")
			isSection = false
		case unstable.KeyValue:
			if isSection {
				r.set(in, path, line, e.Value())
			}
		}
	}
	r.checkLimits()
}

// checkTOML reports whether data is TOML.
func (r *reader) checkTOML(data []byte) bool {
	defined := newDefinitions()
	for r.parser.NextExpression() {
		var err error
		e := r.parser.Expression()
		switch e.Kind {
		case unstable.Table:
			err = defined.openTable(pathOf(e))
		case unstable.ArrayTable:
			defined.openArray()
		case unstable.KeyValue:
			err = defined.set(defined.current, e)
		}
		if err != nil {
			_, line := r.path(e)
			r.errorf(line, "not TOML: %v", err)
			return false
		}
	}
	if err := r.parser.Error(); err != nil {
		r.syntaxError(data, err)
		return false
	}
	return true
}

func (r *reader) syntaxError(data []byte, err error) {
	offset := len(data)
	if e, ok := errors.AsType[*unstable.ParserError](err); ok { // it points into data
		offset = min(offset, cap(data)-cap(e.Highlight))
	}
	line := r.lines.number(offset)
	text := err.Error()
	if header := bytes.TrimSpace(r.lines.text(data, line)); bytes.HasPrefix(header, []byte("[")) &&
		bytes.ContainsAny(header, "/:") && !bytes.ContainsAny(header, `"'`) {
		text += `: a name with "/" or ":" is in quotes, as in [platform."linux/arm64"]`
	}
	r.errorf(line, "not TOML: %s", printable.Text(text))
}

// path returns the parts of a dotted key and the line that it is in.
func (r *reader) path(n *unstable.Node) (path []string, line int) {
	for it := n.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
		line = r.line(it.Node(), line)
	}
	return path, line
}

// line returns the line of n, or that of its key if the parser does not know.
func (r *reader) line(n *unstable.Node, key int) int {
	if n.Raw.Length > 0 {
		return r.lines.number(int(n.Raw.Offset))
	}
	if n.Kind == unstable.Array && n.Child() != nil {
		return r.line(n.Child(), key)
	}
	return key
}

// enter finds the table that path leads to.
func (r *reader) enter(t table, path []string, line int) (table, bool) {
	for _, name := range path {
		sub, err := t.enter(name, line)
		if err != nil {
			r.errorf(line, "%v", err)
			return table{}, false
		}
		t = sub
	}
	return t, true
}

// set sets the value at path, or the values of an inline table at path.
func (r *reader) set(t table, path []string, line int, value *unstable.Node) {
	last := len(path) - 1
	t, ok := r.enter(t, path[:last], line)
	if !ok {
		return
	}
	name := path[last]
	if set, ok := t.values[name]; ok {
		set(setting{name, line, value})
		return
	}
	if _, ok := t.tables[name]; !ok && t.named == nil {
		r.errorf(line, "%v", t.unknown(name))
		return
	}
	if value.Kind != unstable.InlineTable {
		r.errorf(line, "%s is a section and has no value", quote(name))
		return
	}
	if t, ok = r.enter(t, path[last:], line); !ok {
		return
	}
	for it := value.Children(); !r.isFull() && it.Next(); {
		path, line := r.path(it.Node())
		r.set(t, path, line, it.Node().Value())
	}
}

func (t table) enter(name string, line int) (table, error) {
	if sub, ok := t.tables[name]; ok {
		return sub, nil
	}
	if t.named != nil {
		return t.named(name, line)
	}
	if _, ok := t.values[name]; ok {
		return table{}, fmt.Errorf("%s is a key and no section", quote(name))
	}
	if t.unquoted != nil {
		return table{}, errors.New(t.unquoted(name))
	}
	return table{}, t.unknown(name)
}

func (t table) unknown(name string) error {
	names := slices.Concat(slices.Collect(maps.Keys(t.values)), slices.Collect(maps.Keys(t.tables)))
	return fmt.Errorf("unknown key %s%s", quote(name), suggest(name, names))
}
