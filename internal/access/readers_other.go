//go:build !windows

package access

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// CheckReaders returns ErrInsecure for a file of the current user that its group
// or others can read, write or execute, as OpenSSH does (sshkey_perm_ok in
// authfile.c). It accepts a file of another user: that user gave access on
// purpose. The error calls the file by its kind, such as "key file".
func CheckReaders(kind, path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	if !ok || int(stat.Uid) != os.Geteuid() || mode&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s %s is open to others (mode %04o): run: chmod 600 %s (for a mounted Kubernetes secret, set defaultMode: 0400)",
		signer.ErrInsecure, kind, path, mode, shell.Quote(path))
}
