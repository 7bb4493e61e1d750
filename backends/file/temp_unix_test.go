//go:build unix

package file

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What stands under the name of a temporary file is neither followed nor waited for.
func TestRemoveAbandonedLeavesLinksAndPipes(t *testing.T) {
	dir := dirFor(t)
	target, link, pipe := filepath.Join(dir, "target"), filepath.Join(dir, ".countersign-link.tmp"), filepath.Join(dir, ".countersign-pipe.tmp")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	removeAbandoned(dir)
	for _, path := range []string{target, link, pipe} {
		if !exists(path) {
			t.Errorf("%s was removed", path)
		}
	}
}
