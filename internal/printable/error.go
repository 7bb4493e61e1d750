package printable

import (
	"io/fs"
	"os"
)

// Error returns an error of package os with the paths in its text made printable
// by Text. It wraps err. Another error is returned as it is.
func Error(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return &osError{err, e.Op + " " + Text(e.Path) + ": " + e.Err.Error()}
	case *os.LinkError:
		return &osError{err, e.Op + " " + Text(e.Old) + " " + Text(e.New) + ": " + e.Err.Error()}
	}
	return err
}

type osError struct {
	err  error
	text string
}

func (e *osError) Error() string { return e.text }

func (e *osError) Unwrap() error { return e.err }
