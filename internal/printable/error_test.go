package printable_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/printable"
)

func TestError(t *testing.T) {
	long := strings.Repeat("x", 4000)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: "/a\x1b[31m/b\u202e", Err: fs.ErrNotExist}, `open /a\x1b[31m/b\u202e: file does not exist`},
		{&fs.PathError{Op: "open", Path: "/" + long, Err: fs.ErrPermission}, "open /" + long[:499] + "...: permission denied"},
		{&os.LinkError{Op: "rename", Old: "a\n", New: "\u009bb", Err: fs.ErrExist}, `rename a \u009bb: file already exists`},
		{fs.ErrNotExist, "file does not exist"},
	} {
		got := printable.Error(tt.err)
		if got.Error() != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("Error(%q) = %q, want %q", tt.err, got, tt.want)
		}
	}
	if err := printable.Error(nil); err != nil {
		t.Errorf("Error(nil) = %v", err)
	}
}
