// Package filelock locks open files between processes, including processes in
// different containers that share a folder.
package filelock

import (
	"errors"
	"os"
)

// ErrHeld means that another process, or another open file of this process, holds
// the lock.
var ErrHeld = errors.New("another process uses the file")

// Try locks f and does not wait. The lock ends when f is closed, also at the end of
// a process that was killed. Errors: ErrHeld, and [errors.ErrUnsupported] on a
// system or file system without locks.
func Try(f *os.File) error { return try(f) }
