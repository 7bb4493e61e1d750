package file

import (
	"os"
	"path/filepath"
	"testing"
)

// dirFor returns a new folder.
func dirFor(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "countersign-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // not t.TempDir: Wine cannot remove it
	return dir
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A temporary file is removed after its writer ended, and not before.
func TestRemoveAbandoned(t *testing.T) {
	dir := dirFor(t)
	f, err := writeTemp(dir, []byte("secret"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	removeAbandoned(dir)
	if !exists(f.Name()) {
		t.Fatal("the file was removed while its writer holds it")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	removeAbandoned(dir)
	if exists(f.Name()) {
		t.Error("the file is there after its writer ended")
	}
}

// Only temporary files of this package are removed.
func TestRemoveAbandonedLeavesOthers(t *testing.T) {
	dir := dirFor(t)
	others := []string{"key", ".countersign-", ".countersign-x.tmp~", "countersign-x.tmp", ".countersign-dir.tmp"}
	for _, name := range others[:4] {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, others[4]), 0o700); err != nil {
		t.Fatal(err)
	}
	removeAbandoned(dir)
	for _, name := range others {
		if !exists(filepath.Join(dir, name)) {
			t.Errorf("%s was removed", name)
		}
	}
}

// A writer whose file was taken for abandoned before it was locked notices that. The
// test moves the file, because Wine removes an open file only when it is closed.
func TestTempFileIsThere(t *testing.T) {
	f, err := createTemp(dirFor(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !isThere(f) {
		t.Error("a new file is not there")
	}
	if err := os.Rename(f.Name(), f.Name()+".moved"); err != nil {
		t.Fatal(err)
	}
	if isThere(f) {
		t.Error("a file that has lost its name is there")
	}
	if err := os.WriteFile(f.Name(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if isThere(f) {
		t.Error("another file of the same name is taken for it")
	}
}
