package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/internal/filelock"
)

// The names of temporary files.
const (
	tempPrefix = ".countersign-"
	tempSuffix = ".tmp"
)

// isTemp reports whether name is that of a temporary file.
func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// writeTemp writes data to a new temporary file in dir and to the disk. The file
// is locked until it is closed; the lock tells removeAbandoned that its writer is
// alive. The mode does not depend on the umask.
func writeTemp(dir string, data []byte, mode fs.FileMode) (*os.File, error) {
	f, err := newTemp(dir)
	if err != nil {
		return nil, err
	}
	err = f.Chmod(mode)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		removeTemp(f)
		return nil, err
	}
	return f, nil
}

// newTemp makes and locks an empty temporary file. Between the two steps, another
// process can take the file for abandoned and remove it; newTemp then makes the
// next one.
func newTemp(dir string) (*os.File, error) {
	for range 100 {
		f, err := createTemp(dir)
		if err != nil {
			return nil, err
		}
		err = filelock.Try(f)
		if !errors.Is(err, filelock.ErrHeld) && isThere(f) { // another error: there are no locks here
			return f, nil
		}
		f.Close()
	}
	return nil, errors.New("other programs remove the temporary files in " + dir)
}

// isThere reports whether f still has its name.
func isThere(f *os.File) bool {
	named, err := os.Lstat(f.Name())
	if err != nil {
		return false
	}
	opened, err := f.Stat()
	return err == nil && os.SameFile(named, opened)
}

func removeTemp(f *os.File) {
	os.Remove(f.Name())
	f.Close()
}

// removeAbandoned removes the temporary files in dir whose writer was killed.
// They can hold private keys. It leaves files that it cannot lock: they are being
// written, or belong to another user.
func removeAbandoned(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !isTemp(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		f, err := openTemp(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if filelock.Try(f) == nil {
			os.Remove(f.Name())
		}
		f.Close()
	}
}
