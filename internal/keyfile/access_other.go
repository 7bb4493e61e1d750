//go:build !windows

package keyfile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// CheckAccess returns ErrInsecure for a file of the current user that group or
// others may use, as OpenSSH does (sshkey_perm_ok in authfile.c). what says in
// the error what is in it.
func CheckAccess(what, path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	if !ok || int(stat.Uid) != os.Geteuid() || mode&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s %s is open to others (mode %04o): run: chmod 600 %s (for a mounted Kubernetes secret, set defaultMode: 0400)",
		signer.ErrInsecure, what, path, mode, shell.Quote(path))
}
