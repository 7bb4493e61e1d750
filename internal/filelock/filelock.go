// Package filelock locks open files between processes, including processes in
// different containers that share a folder.
package filelock

import (
	"context"
	"errors"
	"os"
	"time"
)

// ErrHeld means that another process, or another open file of this process, holds
// the lock.
var ErrHeld = errors.New("another process uses the file")

// Try locks f and does not wait. The lock ends when f is closed, also at the end of
// a process that was killed. Errors: ErrHeld, and [errors.ErrUnsupported] on a
// system or file system without locks.
func Try(f *os.File) error { return try(f) }

// Wait locks f as Try does, and waits as long as another process holds the lock. Errors:
// [errors.ErrUnsupported] as that of Try, and that of ctx.
func Wait(ctx context.Context, f *os.File) error {
	for {
		err := Try(f)
		if !errors.Is(err, ErrHeld) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
