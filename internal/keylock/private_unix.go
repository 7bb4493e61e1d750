//go:build unix

package keylock

import (
	"io/fs"
	"os"
	"syscall"
)

// isPrivate reports whether only the user can use a directory.
func isPrivate(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
