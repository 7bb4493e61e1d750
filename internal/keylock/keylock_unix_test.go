//go:build unix

package keylock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/filelock"

	"github.com/countersign/countersign/internal/otheruser"
)

// sharedTemp sets the directory for temporary files to a new one that all users
// can write to, as /tmp is.
func sharedTemp(t *testing.T) string {
	t.Helper()
	if lockParent() != os.TempDir() {
		t.Skipf("SKIPPED: this user has %s", lockParent())
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return dir
}

// Another user can neither block the lock nor have it create a file elsewhere.
func TestLockIgnoresOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("COUNTERSIGN_TEST_TARGET") == "" {
		t.Skip("SKIPPED: only root can give a file away")
	}
	if os.Geteuid() == 0 {
		layTraps(t, otheruser.Nobody)
	}
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	unlock, err := Lock(t.Context(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if target := os.Getenv("COUNTERSIGN_TEST_TARGET"); exists(target) {
		t.Errorf("the lock created %s through a link", target)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, "lock"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock: got error %v, want DeadlineExceeded", err)
	}
}

// layTraps puts files, directories and links of another user where the lock of the
// user uid may be. Links lead to COUNTERSIGN_TEST_TARGET, which uid can create.
func layTraps(t *testing.T, uid int) {
	t.Helper()
	const attacker = 12345
	dir, victim := sharedTemp(t), t.TempDir()
	target := filepath.Join(victim, "target")
	t.Setenv("COUNTERSIGN_TEST_TARGET", target)
	prefix := filepath.Join(dir, fmt.Sprintf("countersign-keyring-%d", uid))
	err := errors.Join(
		os.Chmod(filepath.Dir(dir), 0o755),
		os.Chmod(filepath.Dir(victim), 0o755),
		os.Chown(victim, uid, uid),
		os.Symlink(target, prefix+".lock"),
		os.Mkdir(prefix+"-1", 0o700),
		os.Mkdir(prefix+"-2", 0o777),
		os.Symlink(target, prefix+"-2/lock"),
		os.WriteFile(prefix+"-3", nil, 0o600),
		os.Symlink(target, prefix+"-4"),
	)
	for _, suffix := range []string{".lock", "-1", "-2", "-3", "-4"} {
		err = errors.Join(err, os.Lchown(prefix+suffix, attacker, attacker))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A directory of the user that others can use is no place for a lock.
func TestLockNeedsPrivateDirectory(t *testing.T) {
	dir := sharedTemp(t)
	open := filepath.Join(dir, fmt.Sprintf("countersign-keyring-%d-open", os.Geteuid()))
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o755)); err != nil {
		t.Fatal(err)
	}
	unlock, err := Lock(t.Context(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if left, err := os.ReadDir(open); err != nil || len(left) > 0 {
		t.Errorf("%s holds %v, %v", open, left, err)
	}
}

// Two processes that start at the same time can make two directories. A process
// that knows only one of them and one that knows both exclude each other.
func TestLockOfSeveralDirectories(t *testing.T) {
	dir := sharedTemp(t)
	for _, suffix := range []string{"a", "b"} {
		own := filepath.Join(dir, fmt.Sprintf("countersign-keyring-%d-%s", os.Geteuid(), suffix))
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		other, err := os.Create(filepath.Join(own, "lock"))
		if err == nil {
			err = filelock.Try(other)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := Lock(ctx, "lock"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another process holds %s: got error %v, want DeadlineExceeded", own, err)
		}
		cancel()
		other.Close()
	}
	unlock, err := Lock(t.Context(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// Of many that lock at once where no directory is yet, one at a time has the lock.
func TestLockExcludesFromTheStart(t *testing.T) {
	for range 20 {
		sharedTemp(t)
		var holders atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				unlock, err := Lock(t.Context(), "lock")
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n > 1 {
					t.Errorf("%d hold the lock", n)
				}
				holders.Add(-1)
				unlock()
			})
		}
		all.Wait()
	}
}
