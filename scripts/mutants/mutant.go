package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A mutant is one file with one change.
type mutant struct {
	target   target
	line     int
	function string // "Type.Method" for a method, "" outside functions
	change   string // for people, and part of the identity
	source   []byte // the whole changed file
}

// id names m without line numbers, so that it stays when code moves.
func (m mutant) id() string { return m.target.file + " " + m.function + " " + m.change }

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", m.target.file, m.line, m.function, m.change)
}

// inSample chooses one mutant of every n by the hash of its identity: a change
// elsewhere does not change the choice.
func (m mutant) inSample(n int) bool {
	sum := sha256.Sum256([]byte(m.id()))
	return binary.BigEndian.Uint64(sum[:])%uint64(max(n, 1)) == 0
}
