// Package keyfile reads small files that hold keys, and tells when another one
// has taken their place.
package keyfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// MaxSize is the largest file that is read; the largest key has about 13 KiB.
const MaxSize = 64 << 10

// Read reads a regular file of at most MaxSize bytes, and returns its content as
// Text does. Errors: ErrNotFound, ErrDenied.
func Read(path string) ([]byte, Snapshot, error) {
	f, info, err := open(path)
	if err != nil {
		return nil, Snapshot{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, Snapshot{}, printable.Error(err)
	}
	if len(data) > MaxSize {
		return nil, Snapshot{}, fmt.Errorf("%s is no key: it has more than %d bytes", printable.Text(path), MaxSize)
	}
	return Text(data), Snapshot{path, info}, nil
}

// open looks at path first: opening a named pipe would wait for its writer, and
// opening some devices does something. It then looks at the file that
// it opened, because another file may have the name by now.
func open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, explain(err)
	}
	if err := checkRegular(path, info); err != nil {
		return nil, nil, err
	}
	f, err := openShared(path)
	if err != nil {
		return nil, nil, explain(err)
	}
	info, err = f.Stat()
	if err == nil {
		err = checkRegular(path, info)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func checkRegular(path string, info fs.FileInfo) error {
	mode := info.Mode()
	path = printable.Text(path)
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return fmt.Errorf("%s is a directory, not a file (container engines make one when the file to mount is absent)", path)
	case mode&fs.ModeNamedPipe != 0:
		return fmt.Errorf("%s is a named pipe, not a file", path)
	default:
		return fmt.Errorf("%s is a device or socket, not a file", path)
	}
}

// IsMissing reports whether an error of package os says that there is no such file. A
// file below something that is no directory, such as the home directory /dev/null of a
// service, is missing, too.
func IsMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// explain marks an error of package os, which names the path.
func explain(err error) error {
	shown := printable.Error(err)
	switch {
	case IsMissing(err):
		return fmt.Errorf("%w: %w", signer.ErrNotFound, shown)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", signer.ErrDenied, shown)
	}
	return shown
}

// A Snapshot remembers which file was read.
type Snapshot struct {
	path string
	Info fs.FileInfo
}

// Stale reports whether path names another file by now, or a changed one, or
// none. It costs one stat.
func (s Snapshot) Stale() bool {
	now, err := os.Stat(s.path)
	return err != nil || !os.SameFile(now, s.Info) || now.Size() != s.Info.Size() || !now.ModTime().Equal(s.Info.ModTime())
}
