// Package keylock keeps two processes of one user from changing keys at the same time.
package keylock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/filelock"
)

// pollInterval is the time between two attempts to lock.
const pollInterval = 10 * time.Millisecond

// A HeldError is the error for a lock that another process held until ctx ended. It
// wraps the error of ctx.
type HeldError struct {
	Path string
	Err  error
}

func (e *HeldError) Error() string { return fmt.Sprintf("another process holds %s: %v", e.Path, e.Err) }

// Unwrap returns the error of the context.
func (e *HeldError) Unwrap() error { return e.Err }

// Lock waits for the user's lock of that name, until unlock is called or the process
// ends in any way. Errors: *[HeldError], and those of package os.
//
// It locks a file in each directory that lockDirs returns, in their order. Two
// processes have one of these in common: no directory is ever removed, so the
// process that looked later saw all directories that the other one saw.
func Lock(ctx context.Context, name string) (unlock func(), err error) {
	dirs, err := lockDirs(lockParent())
	if err != nil {
		return nil, err
	}
	var held []*os.File
	unlock = func() {
		for _, f := range held {
			f.Close()
		}
	}
	for _, dir := range dirs {
		f, err := lockFile(ctx, filepath.Join(dir, name))
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, f)
	}
	return unlock, nil
}

func lockFile(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for err = filelock.Try(f); errors.Is(err, filelock.ErrHeld); err = filelock.Try(f) {
		select {
		case <-ctx.Done():
			f.Close()
			return nil, &HeldError{path, ctx.Err()}
		case <-time.After(pollInterval):
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return f, nil
}

// lockDirs returns the directories of the user in parent that are for locks, and
// makes one if there is none. Other users can write to parent, too. A directory
// of theirs is ignored, and because a new one has a random name, nobody can take
// that name before.
func lockDirs(parent string) ([]string, error) {
	prefix := fmt.Sprintf("countersign-keyring-%d-", os.Geteuid())
	dirs, err := ownDirs(parent, prefix)
	if err != nil || len(dirs) > 0 {
		return dirs, err
	}
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // independent of the umask
		return nil, err
	}
	dirs, err = ownDirs(parent, prefix) // another process may have made one as well
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("the file system of %s cannot hide a directory from others", parent)
	}
	return dirs, err
}

// ownDirs returns the directories in parent whose name has the prefix and that
// only the user can use, sorted.
func ownDirs(parent, prefix string) ([]string, error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if info, err := e.Info(); err == nil && isPrivate(info) {
			dirs = append(dirs, filepath.Join(parent, e.Name()))
		}
	}
	return dirs, nil
}

// lockParent returns a directory that is the same for all processes of the user.
// So it does not depend on $HOME or $XDG_RUNTIME_DIR, which a cron job or a
// service may lack. On Windows and macOS each user has a temporary directory.
func lockParent() string {
	runtimeDir := filepath.Join("/run/user", strconv.Itoa(os.Geteuid()))
	if info, err := os.Stat(runtimeDir); err == nil && info.IsDir() {
		return runtimeDir
	}
	return os.TempDir()
}
