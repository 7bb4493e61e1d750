package file

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks f for this process until f is closed. It returns false if another
// process holds the lock, and an error where files cannot be locked.
func tryLock(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	// The locked byte is behind the end of each key: Windows lets nobody read or
	// write a locked byte.
	region := &windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, region)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}
