//go:build !windows

package file

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// checkAccess refuses a file of the current user that group or others may use,
// as OpenSSH does (sshkey_perm_ok in authfile.c).
func checkAccess(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	if !ok || int(stat.Uid) != os.Geteuid() || mode&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("%w: key file %s is open to others (mode %04o): run: chmod 600 %s (for a mounted Kubernetes secret, set defaultMode: 0400)",
		signer.ErrInsecure, path, mode, shell.Quote(path))
}
