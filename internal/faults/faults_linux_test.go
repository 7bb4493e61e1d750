package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/internal/faults"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	var seen []faults.Call
	var syncErr, renameErr, removeErr error
	faults.Watch(t, []uintptr{unix.SYS_FSYNC, unix.SYS_OPENAT, unix.SYS_UNLINKAT}, func(c faults.Call) syscall.Errno {
		seen = append(seen, c)
		if c.Number == unix.SYS_FSYNC {
			return syscall.EIO
		}
		return 0
	}, func() {
		f, err := os.Create(path)
		if err != nil {
			syncErr = err
			return
		}
		defer f.Close()
		syncErr = f.Sync()
		renameErr = os.Rename(path, path+".new")
		removeErr = os.Remove(path + ".new")
	})
	if !errors.Is(syncErr, syscall.EIO) || renameErr != nil || removeErr != nil {
		t.Errorf("fsync: %v, want EIO; rename: %v, unlink: %v, want no error", syncErr, renameErr, removeErr)
	}
	want := []faults.Call{{unix.SYS_OPENAT, path}, {unix.SYS_FSYNC, path}, {unix.SYS_UNLINKAT, path + ".new"}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the call that was let through had no effect")
	}
}
