//go:build !windows

package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/printable"
)

// No file, link or folder writes to the terminal through an error.
func TestErrorsArePrintable(t *testing.T) {
	const evil = "\u202e\u009b31m\u200b"
	dir := filepath.Join(tempDir(t), evil)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	writeKey(t, key)
	symlink(t, "\x1b[31m"+evil, filepath.Join(dir, "link"))
	write(t, filepath.Join(dir, "text"), []byte("text"))
	b := &file.Backend{Dir: dir}
	for _, name := range []string{"key", "link", "absent", "text", "key/below", ".", "new"} {
		_, openErr := b.Open(t.Context(), name)
		errs := []error{openErr}
		if name != "new" {
			_, err := b.Generate(t.Context(), name)
			errs = append(errs, err)
		}
		if name != "key" && name != "absent" {
			errs = append(errs, b.Delete(t.Context(), name), b.CheckAccess(name))
		}
		for _, err := range errs {
			if text := strings.ReplaceAll(told(err), name, ""); err != nil && !printable.IsSafe(text) {
				t.Errorf("%q: %q", name, told(err))
			}
		}
	}
	chmod(t, key, 0o644)
	if _, err := b.Open(t.Context(), "key"); err == nil || !printable.IsSafe(told(err)) {
		t.Errorf("a key that is open to others: %q", told(err))
	}
	_, err := (&file.Backend{Dir: key}).List(t.Context())
	if err == nil || !printable.IsSafe(told(err)) {
		t.Errorf("a folder that is a file: %q", told(err))
	}
}
