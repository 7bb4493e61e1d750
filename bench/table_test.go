package main

import (
	"fmt"
	"strings"
)

// A table is printed in Markdown.
type table struct {
	head []string
	rows [][]string
}

func (t table) String() string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	line(append([]string{"---"}, slicesRepeat("---:", len(t.head)-1)...))
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

func slicesRepeat(s string, n int) []string {
	return strings.Fields(strings.Repeat(s+" ", n))
}

// mark sets a result that is as it should be in bold type.
func mark(result string, right bool) string {
	if right {
		return "**" + result + "**"
	}
	return result
}

func clientNames() []string {
	var names []string
	for _, c := range clients() {
		names = append(names, c.name)
	}
	return names
}

// parserTable has a row for each header and a column for each parser.
func parserTable() table {
	t := table{head: []string{"`WWW-Authenticate`"}}
	for _, p := range parsers() {
		t.head = append(t.head, p.name)
	}
	for _, h := range headers {
		row := []string{h.name}
		for _, p := range parsers() {
			row = append(row, mark(h.result(p)))
		}
		t.rows = append(t.rows, row)
	}
	row := []string{fmt.Sprintf("of %d malformed lines, those in which it finds a realm", len(malformed))}
	for _, p := range parsers() {
		row = append(row, mark(countMalformed(p)))
	}
	t.rows = append(t.rows, row)
	return t
}

// speedTable compares all with ours, the fastest first.
func speedTable(all []measurement, what, unit string) table {
	t := table{head: []string{"", unit + " " + what, "ratio", "allocations", "bytes"}}
	own := find(all, ours)
	for _, m := range all {
		t.rows = append(t.rows, []string{
			mark(m.name, m.name == ours), significant(m.median() / units[unit]), significant(m.over(own)), fmt.Sprint(m.allocs), fmt.Sprint(m.bytes),
		})
	}
	return t
}

var units = map[string]float64{"ns": 1, "µs": 1000}
