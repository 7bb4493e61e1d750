package challenge

import (
	"errors"
	"io/fs"
	"testing"
)

// An error with another text keeps its causes, and gets no other ones.
func TestErrorWithAnotherText(t *testing.T) {
	cause := &fs.PathError{Op: "open", Path: "secret", Err: fs.ErrNotExist}
	err := withText(cause, "open ***")
	if err.Error() != "open ***" || !errors.Is(err, fs.ErrNotExist) || !errors.As(err, new(*fs.PathError)) {
		t.Errorf("the causes of %v are lost", err)
	}
	if errors.Is(err, fs.ErrExist) || errors.As(err, new(*Error)) {
		t.Errorf("%v has a cause that it did not have", err)
	}
}
