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

// createTemp keeps others out from the start. By default, a file would inherit
// its directory's permissions, and outside a profile all users may read.
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
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0,
		attributes, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// syncDir has nothing to do: renameNew writes through.
func syncDir(string) error { return nil }
