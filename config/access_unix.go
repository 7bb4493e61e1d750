//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// CheckAccess returns an error that wraps signer.ErrInsecure if group or others
// can change the configuration file at path, or put another in its place: it
// decides which key signs for whom. On Windows it checks nothing: a profile is
// its user's own there.
func CheckAccess(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() && info.Mode()&0o022 != 0 {
		return writable("configuration file", path, info)
	}
	dir := filepath.Dir(path)
	info, err = os.Stat(dir)
	if err != nil {
		return err
	}
	// Of a sticky directory, as /tmp is one, others can take nothing away.
	if info.Mode()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return writable("directory of the configuration file", dir, info)
	}
	return nil
}

func writable(what, path string, info fs.FileInfo) error {
	return fmt.Errorf("%w: %s %s can be changed by others (mode %04o), who could so choose whom it signs for: run: chmod go-w %s",
		signer.ErrInsecure, what, path, info.Mode().Perm(), shell.Quote(path))
}
