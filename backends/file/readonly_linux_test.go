package file_test

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
)

func TestReadOnlyFileSystem(t *testing.T) {
	dir := tempDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("SKIPPED: mounting a file system takes root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"key", ".ollama/key"} {
		_, err := new(file.Backend).Generate(t.Context(), filepath.Join(dir, name))
		if !errors.Is(err, signer.ErrDenied) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("Generate = %v", err)
		}
	}
}
