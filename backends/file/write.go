package file

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// store writes key to path and its public half to path.pub. It returns a Signer
// with key and the content of the file at path. It asks for a passphrase only
// after all other checks.
func (b *Backend) store(ctx context.Context, path string, key crypto.Signer) (signer.Signer, []byte, error) {
	s, err := signer.New(key)
	if err != nil {
		return nil, nil, err
	}
	pubThere, err := checkFree(path, s.PublicKey())
	if err != nil {
		return nil, nil, denied(err)
	}
	comment := cmp.Or(b.Comment, keyfile.DefaultComment)
	private, err := keyfile.Marshal(key, comment, b.newPassphrase(ctx, path))
	if err != nil {
		return nil, nil, fmt.Errorf("key file %s: %w", printable.Text(path), err)
	}
	return s, private, write(path, private, publicLine(s.PublicKey(), comment), pubThere)
}

// write makes both files complete and on disk under temporary names before they
// get their own, the key first. Wherever the process is killed, there is no key
// or a whole one, and at worst a temporary file that the next call removes.
func write(path string, private, public []byte, pubThere bool) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return denied(err)
	}
	removeAbandoned(dir)
	keyTemp, err := writeTemp(dir, private, 0o600)
	if err != nil {
		return denied(err)
	}
	defer removeTemp(keyTemp)
	pubTemp, err := writeTemp(dir, public, 0o644)
	if err != nil {
		return denied(err)
	}
	defer removeTemp(pubTemp)

	if err := checkHidden(keyTemp.Name()); err != nil {
		return err
	}
	if err := place(keyTemp.Name(), path); err != nil {
		return denied(err)
	}
	if !pubThere {
		if err := place(pubTemp.Name(), path+".pub"); err != nil {
			return fmt.Errorf("key file %s is written, its public half is not: %w", printable.Text(path), printable.Error(err))
		}
	}
	return printable.Error(syncDir(dir))
}

// checkFree returns ErrExists if there is anything at path, or at path.pub
// unless that is the public half of the same key.
func checkFree(path string, pub ssh.PublicKey) (pubThere bool, err error) {
	// Generate writes the .pub after the key, so a .pub that is there means that the key
	// is there, too.
	_, pubErr := os.Lstat(path + ".pub")
	switch _, err := os.Lstat(path); {
	case err == nil:
		return false, existsError(path)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	case errors.Is(pubErr, fs.ErrNotExist):
		return false, nil
	case isPublicHalf(path+".pub", pub):
		return true, nil
	}
	err = fmt.Errorf("%w: %s.pub, the public half of another key", signer.ErrExists, printable.Text(path))
	return false, signer.WithHint(err, signer.Hint{Do: "move it away, or choose another name"})
}

// existsError returns ErrExists, which names path and the target of a link there.
func existsError(path string) error {
	shown := printable.Text(path)
	if target, err := os.Readlink(path); err == nil {
		err := fmt.Errorf("%w: %s is a symbolic link to %s", signer.ErrExists, shown, printable.Text(target))
		return signer.WithHint(err, signer.Hint{Do: "choose another name, or remove the link"})
	}
	return signer.WithHint(fmt.Errorf("%w: %s", signer.ErrExists, shown), signer.Hint{Do: "choose another name, or delete it first"})
}

// checkHidden refuses a file system without permissions, such as FAT.
func checkHidden(temp string) error {
	info, err := os.Lstat(temp)
	if err != nil {
		return err
	}
	err = access.CheckReaders("key file", temp, info)
	if errors.Is(err, signer.ErrInsecure) {
		err := fmt.Errorf("%w: the file system of %s cannot hide a file from others", signer.ErrInsecure, printable.Text(filepath.Dir(temp)))
		return signer.WithHint(err, signer.Hint{Do: "choose another directory"})
	}
	return err
}

// place gives the file at temp the name path, in one step, unless that name is
// taken. Not every system and file system has such a rename: the BSDs and NFS
// do not. Those have hard links, whose second name the caller removes.
func place(temp, path string) error {
	err := renameNew(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Link(temp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return existsError(path)
	}
	return err
}

// makeDir makes dir and the missing directories above it. The mode does not depend on
// the umask.
func makeDir(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(dir); err == nil || parent == dir {
		return err
	}
	if err := makeDir(parent); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody was quicker
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	return syncDir(parent)
}

// denied marks an error of package os that says that the user may not write.
func denied(err error) error {
	shown := printable.Error(err)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", signer.ErrDenied, shown)
	}
	return shown
}
