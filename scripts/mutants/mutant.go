package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// A mutant is one file with one change.
type mutant struct {
	target   target
	line     int
	function string // "Type.Method" for a method, "" outside functions
	change   string // for people, and part of the identity

	original []byte // the file
	from, to int    // offsets in original
	text     string // in place of original[from:to]

	form   form
	typ    string // of the expression, as the file spells it
	number int    // for the switch, from 1; 0 for a mutant without one
}

// A form tells how a switch chooses between the original and the mutant while the
// tests run.
type form int

const (
	fixed      form = iota // no switch: the mutant is a build of its own
	statement              // chosen by an if
	insertion              // the same where nothing stands in the original
	expression             // chosen by a call
)

// id names m without line numbers, so that it stays when code moves.
func (m mutant) id() string { return m.target.file + " " + m.function + " " + m.change }

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", m.target.file, m.line, m.function, m.change)
}

// A sample is one of several parts of all mutants, which have about the same size. The
// zero value is all mutants.
type sample struct {
	parts int // how many there are
	part  int // the number of this one, from 0
}

// has reports whether m is in the sample. The hash of the identity decides that, so a
// change elsewhere does not change the sample.
func (s sample) has(m mutant) bool {
	sum := sha256.Sum256([]byte(m.id()))
	return binary.BigEndian.Uint64(sum[:])%uint64(max(s.parts, 1)) == uint64(s.part)
}

// source returns the changed file.
func (m mutant) source() []byte {
	return slices.Concat(m.original[:m.from], []byte(m.text), m.original[m.to:])
}
