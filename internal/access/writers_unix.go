//go:build !windows

package access

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// maxLinks is the number of symbolic links that Linux follows in one path.
const maxLinks = 40

// CheckWriters returns ErrInsecure if a user other than the current one and root
// can change the file at path or put another file in its place. It looks at the
// file, at every directory above it, and at every symbolic link on the way and
// the directories above that. The error calls the file by its kind, such as
// "configuration file". A file that is not there is an error of package os.
//
// A directory with the sticky bit, such as /tmp, passes, because users can only
// remove their own entries from it. The write permission of a private group
// passes: the primary group of the user, with the user's name and no other member.
func CheckWriters(kind, path string) error {
	start := path
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		start = dir + "/" + path // filepath.Join would remove "link/.." as if link were a directory
	}
	w := walk{file: kind + " " + printable.Text(path), kind: kind}
	return w.follow(start)
}

// A walk follows a path from the root as the system does, one entry at a time.
type walk struct {
	kind, file string // for errors: "key file" and "key file /path"
	links      int    // symbolic links followed so far
}

func (w *walk) follow(path string) error {
	dir := "/"
	if err := w.check(dir); err != nil {
		return err
	}
	rest := strings.Split(path, "/")
	for len(rest) > 0 {
		entry := filepath.Join(dir, rest[0]) // dir contains no link, so Join resolves ".." as the system does
		rest = rest[1:]
		if err := w.check(entry); err != nil {
			return err
		}
		target, err := os.Readlink(entry)
		if err != nil { // no link
			dir = entry
			continue
		}
		if w.links++; w.links > maxLinks {
			return printable.Error(&fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP})
		}
		if filepath.IsAbs(target) {
			dir = "/"
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return nil
}

// check checks the owner and the mode of one file, directory or symbolic link.
func (w *walk) check(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return printable.Error(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	uid := os.Geteuid()
	if owner := int(stat.Uid); owner != uid && owner != 0 {
		err := fmt.Errorf("%w: %s belongs to another user (uid %d), who can replace %s",
			signer.ErrInsecure, w.describe(path, info), owner, w.file)
		return signer.WithHint(err, signer.Hint{Do: useCopy})
	}
	if !writable(path, info, int(stat.Gid)) {
		return nil
	}
	problem := fmt.Errorf("%w: %s can be changed by others (mode %04o)", signer.ErrInsecure, w.describe(path, info), info.Mode().Perm())
	if info.IsDir() {
		problem = fmt.Errorf("%w, who can replace %s", problem, w.file)
	}
	if int(stat.Uid) != uid || hasFixedModes(path) { // it is root's, or chmod has no effect
		return signer.WithHint(problem, signer.Hint{Do: useCopy})
	}
	return signer.WithHint(problem, signer.Hint{Do: "chmod go-w " + shell.Quote(path)})
}

func (w *walk) describe(path string, info fs.FileInfo) string {
	path = printable.Text(path)
	switch {
	case info.IsDir():
		return "directory " + path
	case info.Mode()&fs.ModeSymlink != 0:
		return "symbolic link " + path
	}
	return w.kind + " " + path
}

// writable reports whether other users can write to a file, or rename and remove
// entries of a directory. The mode of a symbolic link or a device does not count:
// nobody can change the first, and the second holds nothing.
func writable(path string, info fs.FileInfo, gid int) bool {
	mode := info.Mode()
	switch {
	case mode.IsDir() && mode&fs.ModeSticky != 0:
		return false
	case !mode.IsDir() && !mode.IsRegular():
		return false
	case mode&0o002 != 0:
		return true
	}
	// With an access control list, the group's bits are the most that any listed
	// user gets.
	return mode&0o020 != 0 && (hasACL(path) || !isPrivateGroup(os.Geteuid(), gid))
}
