//go:build unix

package agentserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/filelock"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// maxPath is the longest path of a socket in bytes: 108 with a zero byte on Linux, 104
// elsewhere.
const maxPath = 103

// dialTimeout is the time that an agent has to accept a connection.
const dialTimeout = time.Second

// Listen makes a socket at path that only the current user can use, in a folder that it
// makes if there is none. It replaces the socket of an agent that was killed, and no
// other file. Closing the listener removes the socket. Errors: [signer.ErrInsecure] if
// other users can replace the socket, and [fs.ErrExist] if another agent uses it or if
// path is no socket.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("socket %s: the path has %d bytes, and a socket's has at most %d", printable.Text(path), len(path), maxPath)
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, printable.Error(err)
	}
	if err := access.CheckWriters("folder of the socket", folder); err != nil {
		return nil, err
	}
	held, err := lockFolder(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := removeDead(ctx, path); err != nil {
		return nil, err
	}
	defer syscall.Umask(syscall.Umask(0o177)) // no moment in which others could connect
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, printable.Error(err)
	}
	return newSocket(l, path)
}

// A socket is a listener that removes its file when it is closed, and not the file with
// which another process has replaced it.
type socket struct {
	*net.UnixListener
	path   string
	file   fs.FileInfo
	remove sync.Once
}

func newSocket(l net.Listener, path string) (net.Listener, error) {
	s := &socket{UnixListener: l.(*net.UnixListener), path: path}
	var err error
	if s.file, err = os.Lstat(path); err != nil {
		l.Close()
		return nil, printable.Error(err)
	}
	s.SetUnlinkOnClose(false)
	return s, nil
}

// Close implements [net.Listener]. It removes the file first: the system may give the
// number of the file, by which it is known, to another one after the socket is closed.
func (s *socket) Close() error {
	s.remove.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(s.file, now) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}

// lockFolder lets one agent at a time look for the socket of another one and replace it.
func lockFolder(ctx context.Context, folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, printable.Error(err)
	}
	for {
		err := filelock.Try(f)
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			return f, nil
		}
		if !errors.Is(err, filelock.ErrHeld) {
			f.Close()
			return nil, printable.Error(err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
	}
}

// removeDead removes a socket at path that no process listens on.
func removeDead(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return printable.Error(err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket: %w", printable.Text(path), fs.ErrExist)
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		err := fmt.Errorf("another process listens on %s: %w", printable.Text(path), fs.ErrExist)
		return signer.WithHint(err, signer.Hint{Do: "use that process, end it, or name another path with --socket"})
	}
	return printable.Error(os.Remove(path))
}

// DefaultPath returns the path of a socket for the current user, and the function that
// removes the folder made for it. If the system has a folder for such files
// (XDG_RUNTIME_DIR), the path is the same for each call.
func DefaultPath() (path string, remove func(), err error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "countersign", "agent.sock"), func() {}, nil
	}
	return TempPath()
}

// TempPath returns the path of a socket in a new folder, and the function that removes
// the folder.
func TempPath() (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "countersign-agent-")
	if err != nil {
		return "", nil, printable.Error(err)
	}
	return filepath.Join(dir, "agent.sock"), func() { os.RemoveAll(dir) }, nil
}
