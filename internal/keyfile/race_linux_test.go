package keyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/internal/faults"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/signer"
)

// readWatched reads path while decide sees the system calls.
func readWatched(t *testing.T, path string, decide func(faults.Call) syscall.Errno) (data []byte, err error) {
	t.Helper()
	calls := []uintptr{unix.SYS_OPENAT, unix.SYS_FSTAT, unix.SYS_READ, unix.SYS_CLOSE}
	faults.Watch(t, calls, decide, func() { data, _, err = keyfile.Read(path) })
	return data, err
}

// Another process puts something else in the file's place after the first look.
func TestReadLooksAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		replace func(path string) error
		want    string // in the error
	}{
		"directory": {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"device":    {func(path string) error { return os.Symlink(os.DevNull, path) }, "is a device"},
	} {
		path := filepath.Join(tempDir(t), "key")
		write(t, path, []byte("key"))
		closed := false
		_, err := readWatched(t, path, func(c faults.Call) syscall.Errno {
			switch {
			case c.Number == unix.SYS_OPENAT && c.Path == path:
				if err := errors.Join(os.Remove(path), tt.replace(path)); err != nil {
					t.Error(err)
				}
			case c.Number == unix.SYS_READ && (c.Path == path || c.Path == os.DevNull):
				t.Errorf("%s: it is read", name)
			case c.Number == unix.SYS_CLOSE && (c.Path == path || c.Path == os.DevNull):
				closed = true
			}
			return 0
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Read = %v, want the path and %q", name, err, tt.want)
		}
		if !closed {
			t.Errorf("%s: it stays open", name)
		}
	}
}

func TestReadOnBrokenDisk(t *testing.T) {
	for name, tt := range map[string]struct {
		number uintptr
		errno  syscall.Errno
		want   error
	}{
		"open":          {unix.SYS_OPENAT, syscall.EIO, syscall.EIO},
		"open, refused": {unix.SYS_OPENAT, syscall.EACCES, signer.ErrDenied},
		"open, removed": {unix.SYS_OPENAT, syscall.ENOENT, signer.ErrNotFound},
		"second look":   {unix.SYS_FSTAT, syscall.EIO, syscall.EIO},
		"read":          {unix.SYS_READ, syscall.EIO, syscall.EIO},
	} {
		path := filepath.Join(tempDir(t), "key")
		write(t, path, []byte("key"))
		data, err := readWatched(t, path, func(c faults.Call) syscall.Errno {
			if c.Number == tt.number && c.Path == path {
				return tt.errno
			}
			return 0
		})
		if !errors.Is(err, tt.want) || data != nil {
			t.Errorf("%s: Read = %q, %v, want %v", name, data, err, tt.want)
		}
		if errors.Is(err, signer.ErrDenied) != (tt.want == signer.ErrDenied) {
			t.Errorf("%s: Read = %v: is it denied?", name, err)
		}
	}
}

func TestReadCloses(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	write(t, path, []byte("key"))
	closed := false
	_, err := readWatched(t, path, func(c faults.Call) syscall.Errno {
		closed = closed || c.Number == unix.SYS_CLOSE && c.Path == path
		return 0
	})
	if err != nil || !closed {
		t.Errorf("Read = %v; closed: %v", err, closed)
	}
}
