package config

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/countersign/countersign/internal/printable"
)

// definitions finds a key or table that a TOML file defines twice, which
// go-toml's parser alone accepts. The decoder of go-toml finds it too, but looks
// through all keys of the file for each key, so a long file takes minutes.
//
// It follows "Table", "Keys" and "Inline Table" of TOML 1.0. Each table has a
// number; the root is 0.
type definitions struct {
	numbers map[definition]int
	kinds   []kind // by number
	current int    // the table of the last header
}

// A definition is a key in a table.
type definition struct {
	table int
	key   string
}

// A kind is how something was defined, and so whether more can be added to it.
type kind int

const (
	value         kind = iota // also an inline table: nothing can be added
	dottedTable               // by a dotted key: only other dotted keys add to it
	implicitTable             // by the header of a table in it
	headerTable               // by its own header
)

func newDefinitions() *definitions {
	return &definitions{numbers: map[definition]int{}, kinds: []kind{headerTable}}
}

func (d *definitions) find(table int, key string) (number int, ok bool) {
	number, ok = d.numbers[definition{table, key}]
	return number, ok
}

func (d *definitions) add(table int, key string, k kind) (number int) {
	number = len(d.kinds)
	d.kinds = append(d.kinds, k)
	d.numbers[definition{table, key}] = number
	return number
}

// openArray begins an element of an array of tables. All elements may have the
// same keys.
func (d *definitions) openArray() {
	d.current = len(d.kinds)
	d.kinds = append(d.kinds, headerTable)
}

// openTable adds the table of a header.
func (d *definitions) openTable(path []string) error {
	table, last := 0, len(path)-1
	for _, key := range path[:last] {
		number, ok := d.find(table, key)
		switch {
		case !ok:
			number = d.add(table, key, implicitTable)
		case d.kinds[number] == value:
			return fmt.Errorf("key %s already exists as a value", shown(key))
		}
		table = number
	}
	number, ok := d.find(table, path[last])
	if !ok {
		d.current = d.add(table, path[last], headerTable)
		return nil
	}
	switch d.kinds[number] {
	case headerTable:
		return fmt.Errorf("table %s already exists", shown(path[last]))
	case dottedTable:
		return fmt.Errorf("table %s already exists as defined by a dotted key", shown(path[last]))
	case value:
		return fmt.Errorf("key %s should be a table, not a value", shown(path[last]))
	}
	d.kinds[number], d.current = headerTable, number
	return nil
}

// set adds a key with its value to a table.
func (d *definitions) set(table int, n *unstable.Node) error {
	path := pathOf(n)
	last := len(path) - 1
	for _, key := range path[:last] {
		number, ok := d.find(table, key)
		switch {
		case !ok:
			number = d.add(table, key, dottedTable)
		case d.kinds[number] != dottedTable:
			return fmt.Errorf("key %s is already defined", shown(key))
		}
		table = number
	}
	if _, ok := d.find(table, path[last]); ok {
		return fmt.Errorf("key %s is already defined", shown(path[last]))
	}
	return d.setAll(d.add(table, path[last], value), n.Value())
}

// setAll adds the keys of inline tables in a value.
func (d *definitions) setAll(number int, n *unstable.Node) error {
	for it := n.Children(); it.Next(); {
		var err error
		switch child := it.Node(); {
		case n.Kind == unstable.InlineTable:
			err = d.set(number, child)
		case child.Kind == unstable.InlineTable, child.Kind == unstable.Array:
			d.kinds = append(d.kinds, value) // an element of the array
			err = d.setAll(len(d.kinds)-1, child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func pathOf(n *unstable.Node) []string {
	var path []string
	for it := n.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
	}
	return path
}

// shown returns a key as these errors show it.
func shown(key string) string {
	if len(key) > longestShown {
		return quote(key)
	}
	return printable.Text(key)
}
