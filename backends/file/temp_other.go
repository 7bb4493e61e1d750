//go:build !windows

package file

import (
	"errors"
	"os"
	"syscall"
)

func createTemp(dir string) (*os.File, error) { return os.CreateTemp(dir, tempPrefix+"*"+tempSuffix) }

// openTemp opens a temporary file that another process made.
func openTemp(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // not every file system can
		return err
	}
	return nil
}
