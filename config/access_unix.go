//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// CheckAccess returns an error that wraps signer.ErrInsecure if another user than
// root can change the configuration file at path, or put another in its place, or
// in that of what a symbolic link leads to: it decides which key signs for whom.
// On Windows it checks nothing: a profile is its user's own there.
func CheckAccess(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		if err := checkOthers("configuration file", target, info); err != nil {
			return err
		}
	}
	if err := checkDir(filepath.Dir(target)); err != nil {
		return err
	}
	return checkDir(filepath.Dir(path))
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return checkOthers("directory of the configuration file", dir, info)
}

func checkOthers(what, path string, info fs.FileInfo) error {
	const means = "who could so choose whom it signs for"
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s %s belongs to another user (uid %d), %s: use a copy in a directory of your own",
			signer.ErrInsecure, what, path, stat.Uid, means)
	}
	// Of a sticky directory, as /tmp is one, others can take nothing away.
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	if info.Mode()&0o022 != 0 && !sticky {
		return fmt.Errorf("%w: %s %s can be changed by others (mode %04o), %s: run: chmod go-w %s",
			signer.ErrInsecure, what, path, info.Mode().Perm(), means, shell.Quote(path))
	}
	return nil
}
