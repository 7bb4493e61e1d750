package keyring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// lock keeps other processes of the user from creating a key at the same time,
// until unlock is called or the process ends in any way.
//
// It locks a file in each directory that lockDirs returns, in their order. Two
// processes have one of these in common: no directory is ever removed, so the
// process that looked later saw all directories that the other one saw.
func lock(ctx context.Context) (unlock func(), err error) {
	const purpose = "so that two processes never create the same key"
	dirs, err := lockDirs(lockParent())
	if err != nil {
		return nil, &problem{cause: fmt.Errorf("making a directory for a lock, %s: %w", purpose, err), topic: "lock"}
	}
	var held []*flock.Flock
	unlock = func() {
		for _, l := range held {
			l.Unlock()
		}
	}
	for _, dir := range dirs {
		l := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
		if _, err := l.TryLockContext(ctx, 10*time.Millisecond); err != nil {
			unlock()
			if ctx.Err() != nil {
				return nil, &problem{kind: ctx.Err(), cause: fmt.Errorf("another process is creating a key and holds %s", l.Path()), topic: "hanging"}
			}
			return nil, &problem{cause: fmt.Errorf("locking %s, %s: %w", l.Path(), purpose, err), topic: "lock"}
		}
		held = append(held, l)
	}
	return unlock, nil
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
