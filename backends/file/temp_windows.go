package file

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/countersign/countersign/internal/access"
)

// createTemp makes a file that other users cannot open. By default, a file
// inherits the permissions of its directory, and outside a profile all users may
// read.
func createTemp(dir string) (*os.File, error) {
	me, err := access.CurrentUser()
	if err != nil {
		return nil, err
	}
	full := "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + me.String() + ")" // SYSTEM, Administrators and me
	descriptor, err := windows.SecurityDescriptorFromString(full)
	if err != nil {
		return nil, err
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	path := filepath.Join(dir, tempPrefix+rand.Text()+tempSuffix)
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, share,
		attributes, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// share lets a file be renamed and removed while it is open, as on other systems.
const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// openTemp opens a temporary file that another process made.
func openTemp(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, share,
		nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// syncDir has nothing to do: renameNew writes through.
func syncDir(string) error { return nil }
