//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// checkOwner refuses to let root write files beside the configuration if another user
// owns the folder: the gate runs as that user, and could not read them.
func (a *app) checkOwner() error {
	folder := filepath.Dir(a.config)
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return printable.Error(err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if os.Geteuid() != 0 || owner == 0 {
		return nil
	}
	id := strconv.FormatUint(uint64(owner), 10)
	name := "#" + id
	if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	err = fmt.Errorf("%s belongs to the user %s, who could not read the files that root makes there", printable.Text(folder), printable.Text(name))
	command := "sudo -u " + shell.Quote(name) + " countersignd"
	for _, arg := range a.args {
		command += " " + shell.Quote(arg)
	}
	return signer.WithHint(err, signer.Hint{Do: command})
}
