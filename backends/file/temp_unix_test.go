//go:build unix

package file

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/countersign/countersign/internal/filelock"
)

// A file that is left open keeps its lock, which a second name of the file shows.
func TestRemoveAbandonedClosesFiles(t *testing.T) {
	dir := dirFor(t)
	f, err := writeTemp(dir, []byte("secret"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	other := filepath.Join(dir, "other")
	if err := os.Link(f.Name(), other); err != nil {
		t.Fatal(err)
	}
	removeAbandoned(dir)
	if exists(f.Name()) {
		t.Fatal("the file is there after its writer ended")
	}
	f, err = os.OpenFile(other, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := filelock.Try(f); err != nil {
		t.Errorf("the file is still locked: %v", err)
	}
}

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
