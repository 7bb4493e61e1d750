//go:build !windows

package access

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/countersign/countersign/internal/printable"
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
	err := fmt.Errorf("%w: %s %s is open to others (mode %04o)", signer.ErrInsecure, kind, printable.Text(path), mode)
	return signer.WithHint(err, signer.Hint{Do: narrow(kind, path)})
}

// narrow returns the action that leaves a file to its owner. A mounted secret may be
// read-only, and the file systems of Windows have no modes to change.
func narrow(kind, path string) string {
	word := shell.Quote(path)
	if !hasFixedModes(path) {
		return "chmod 600 " + word
	}
	action := "use a copy, because the mode of this file cannot be changed: install -m 600 " + word + " NEW"
	if kind == "key file" {
		action += "; a mounted secret can stay: set OLLAMA_KEY_FILE to its path and use env:OLLAMA_KEY"
	}
	return action
}
