package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// To compile and link a test program takes seconds, and to run one test takes
// milliseconds. So all mutants of a package are built into one program, in which
// the environment variable MUTANT chooses one of them.

// switchCode is added to the package. With MUTANT_REACHED it writes down the numbers
// of the mutants whose code is run.
const switchCode = `package %s

import (
	"fmt"
	"os"
	"sync"
)

var (
	mutantNumber  = os.Getenv("MUTANT")
	mutantReached = os.Getenv("MUTANT_REACHED")
	mutantsSeen   sync.Map
)

func mutantOn(number int) bool {
	if mutantReached == "" {
		return mutantNumber == fmt.Sprint(number)
	}
	if _, seen := mutantsSeen.LoadOrStore(number, true); !seen {
		f, err := os.OpenFile(mutantReached, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, number)
		f.Close()
	}
	return false
}

func mutantPick[T any](number int, mutant, original func() T) T {
	if mutantOn(number) {
		return mutant()
	}
	return original()
}
`

// withSwitches returns a file that contains all its mutants that have a number.
func withSwitches(original []byte, mutants []mutant) []byte {
	mutants = slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return m.number == 0 })
	slices.SortStableFunc(mutants, func(a, b mutant) int { // outer before inner
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), cmp.Compare(a.form, b.form))
	})
	return []byte(switches(original, 0, len(original), mutants))
}

// switches returns original[from:to] with a switch for each of mutants, which are
// in order and inside.
func switches(original []byte, from, to int, mutants []mutant) string {
	var b strings.Builder
	for len(mutants) > 0 {
		m, inner := mutants[0], 1
		for inner < len(mutants) && m.contains(mutants[inner]) {
			inner++
		}
		b.Write(original[from:m.from])
		b.WriteString(m.withSwitch(switches(original, m.from, m.to, mutants[1:inner])))
		from, mutants = m.to, mutants[inner:]
	}
	b.Write(original[from:to])
	return b.String()
}

func (m mutant) contains(other mutant) bool {
	atEnd := other.form == insertion && other.from == m.to
	return other.from >= m.from && other.to <= m.to && !atEnd
}

// withSwitch returns code that runs either the mutant or original.
func (m mutant) withSwitch(original string) string {
	switch m.form {
	case statement:
		return fmt.Sprintf("if mutantOn(%d) { %s } else { %s }", m.number, m.text, original)
	case insertion:
		return fmt.Sprintf("; if mutantOn(%d) { %s }\n", m.number, m.text)
	case expression:
		return fmt.Sprintf("mutantPick(%d, func() %s { return %s }, func() %s { return %s })", m.number, m.typ, m.text, m.typ, original)
	}
	return original
}

// numberMutants gives a number to each mutant that can have a switch, and returns
// the files with their switches by their names in p.
func numberMutants(p *pkg, mutants []mutant) (map[string][]byte, error) {
	byFile := map[string][]int{} // indices
	for i, m := range mutants {
		name := p.fileName(m.target)
		byFile[name] = append(byFile[name], i)
	}
	sources := map[string][]byte{}
	for name, indices := range byFile {
		source, err := numberFile(p, name, mutants, indices)
		if err != nil {
			return nil, err
		}
		sources[name] = source
	}
	return sources, nil
}

func numberFile(p *pkg, name string, mutants []mutant, indices []int) ([]byte, error) {
	original := mutants[indices[0]].original
	var of []mutant
	for _, i := range indices {
		m := &mutants[i]
		if m.form == fixed {
			continue
		}
		m.number = i + 1
		of = append(of, *m)
	}
	source := withSwitches(original, of)
	if p.compilesWithSwitches(name, source) {
		return source, nil
	}
	of = of[:0]
	for _, i := range indices { // find the mutants that do not compile with a switch
		m := &mutants[i]
		if m.number != 0 && !p.compilesWithSwitches(name, withSwitches(original, []mutant{*m})) {
			m.number = 0
		}
		of = append(of, *m)
	}
	source = withSwitches(original, of)
	if err := p.checkWithSwitches(name, source); err != nil {
		return nil, fmt.Errorf("%s with switches: %w", name, err)
	}
	return source, nil
}
