package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// parseExplanations reads the table of a Markdown page whose columns are file,
// function, change and reason. It returns the reasons by the mutants' identities.
func parseExplanations(page string) (map[string]string, error) {
	reasons := map[string]string{}
	inTable, found := false, false
	for _, line := range strings.Split(page, "\n") {
		cells := tableCells(line)
		switch {
		case cells == nil:
			inTable = false
		case slices.Equal(cells, []string{"File", "Function", "Change", "Why no test can notice it"}):
			inTable, found = true, true
		case !inTable || strings.Trim(strings.Join(cells, ""), "-") == "":
		case len(cells) != 4 || cells[0] == "" || cells[2] == "" || cells[3] == "":
			return nil, fmt.Errorf("want file, function, change and reason in this row: %s", line)
		default:
			id := plain(cells[0]) + " " + plain(cells[1]) + " " + cells[2]
			if _, twice := reasons[id]; twice {
				return nil, fmt.Errorf("this row stands twice: %s", line)
			}
			reasons[id] = cells[3]
		}
	}
	if !found {
		return nil, errors.New("no table with the columns File, Function, Change and Why no test can notice it")
	}
	return reasons, nil
}

// tableCells returns the cells of a table's row, or nil for another line. A
// vertical bar in a cell is written with a backslash.
func tableCells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") || len(line) < 2 {
		return nil
	}
	const bar = "\x00"
	line = strings.ReplaceAll(line[1:len(line)-1], `\|`, bar)
	cells := strings.Split(line, "|")
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(cell), bar, "|")
	}
	return cells
}

// plain removes the marks of code around a name.
func plain(cell string) string { return strings.Trim(cell, "`") }

// unmatched returns the identities in explained that belong to a file of targets
// and to none of its mutants, and those of files that are in no table.
func unmatched(explained map[string]string, ids map[string]bool, targets []target) []string {
	var unknown []string
	for id := range explained {
		file, _, _ := strings.Cut(id, " ")
		isFile := func(t target) bool { return t.file == file }
		chosen := slices.ContainsFunc(targets, isFile)
		if chosen && !ids[id] || !slices.ContainsFunc(allTargets(), isFile) {
			unknown = append(unknown, id)
		}
	}
	slices.Sort(unknown)
	return unknown
}
