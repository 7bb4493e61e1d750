package config

import (
	"errors"
	"fmt"
)

// maxMistakes is the number of mistakes in one file that are reported.
const maxMistakes = 20

// mistakes collects the mistakes in a file. It holds one more than maxMistakes if
// there may be others: the last one says so.
type mistakes struct {
	file string
	errs []error // each is an *Error
}

func (m *mistakes) errorf(line int, format string, args ...any) {
	if m.isFull() {
		return
	}
	m.errs = append(m.errs, &Error{m.file, line, fmt.Sprintf(format, args...)})
	if len(m.errs) == maxMistakes {
		m.errs = append(m.errs, &Error{m.file, line, fmt.Sprintf("that is mistake %d: the rest of the file was not checked", maxMistakes)})
	}
}

// isFull reports whether errorf would ignore another mistake.
func (m *mistakes) isFull() bool { return len(m.errs) > maxMistakes }

// err returns all mistakes, or nil.
func (m *mistakes) err() error { return errors.Join(m.errs...) }
