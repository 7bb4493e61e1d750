package access

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A user with one of these rights can change a file, rename or remove it, or take such
// a right. The right to add files to a directory replaces none of its files.
const (
	fileDeleteChild = 0x40 // FILE_DELETE_CHILD of winnt.h

	changeFile = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | changeAny
	changeDir  = fileDeleteChild | changeAny
	changeAny  = windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL
)

// trustedInstaller is the service that owns the directories of Windows itself.
const trustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

// CheckWriters returns ErrInsecure if a user other than the current one, SYSTEM, the
// administrators and the installer of Windows can change the file at path or put another
// file in its place. It looks at the file and at every directory above it. If a link is
// on the way, it does the same for the file that the path leads to. The error calls the
// file by its kind, such as "configuration file". A file that is not there is an error
// of package os. A device passes, because it holds nothing.
func CheckWriters(kind, path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return printable.Error(err)
	}
	given, err := filepath.Abs(path)
	if err != nil {
		return printable.Error(err)
	}
	target, err := filepath.EvalSymlinks(given)
	if err != nil {
		return printable.Error(err)
	}
	me, err := CurrentUser()
	if err != nil {
		return err
	}
	w := walk{me, kind, kind + " " + printable.Text(path)}
	if err := w.check(given); err != nil || given == target {
		return err
	}
	return w.check(target)
}

// A walk goes from a file up to the root of its volume.
type walk struct {
	me         *windows.SID
	kind, file string // for errors: "key file" and "key file C:\path"
}

func (w walk) check(path string) error {
	if err := w.checkEntry(path, w.kind, changeFile); err != nil {
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if err := w.checkEntry(dir, "directory", changeDir); err != nil || dir == filepath.Dir(dir) {
			return err
		}
	}
}

// checkEntry checks the owner and the access control list of one file or directory.
func (w walk) checkEntry(path, kind string, rights windows.ACCESS_MASK) error {
	name := kind + " " + printable.Text(path)
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("reading the permissions of %s: %w", name, err)
	}
	problem, err := w.findWriter(descriptor, rights)
	if err != nil {
		return fmt.Errorf("reading the permissions of %s: %w", name, err)
	}
	if problem == "" {
		return nil
	}
	problem = name + " " + problem
	if name != w.file {
		problem += ", who can replace " + w.file
	}
	err = fmt.Errorf("%w: %s", signer.ErrInsecure, problem)
	return signer.WithHint(err, signer.Hint{Do: useCopy})
}

// findWriter describes a user who is not trusted and owns a file or has one of the
// rights to it. It returns "" if there is none.
func (w walk) findWriter(descriptor *windows.SECURITY_DESCRIPTOR, rights windows.ACCESS_MASK) (string, error) {
	owner, _, err := descriptor.Owner()
	if err != nil {
		return "", err
	}
	if !w.trusts(owner) {
		return "belongs to " + owner.String(), nil
	}
	other, err := findOther(descriptor, rights, w.trusts)
	if err != nil || other == "" {
		return "", err
	}
	return "can be changed by " + other, nil
}

// trusts reports whether sid is the user or may change everything anyway.
func (w walk) trusts(sid *windows.SID) bool {
	return trusted(w.me, sid) || sid.String() == trustedInstaller
}
