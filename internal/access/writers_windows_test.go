package access_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/signer"
)

// In Wine, which maps access control lists to modes, it takes a umask such as 022.
func TestCheckWritersOfWindows(t *testing.T) {
	me, err := access.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	mine := "D:P(A;;FA;;;" + me.String() + ")"
	const readByAll, changedByAll = "(A;;FR;;;WD)", "(A;;FA;;;WD)"
	for _, tt := range []struct {
		name, dir, file string // the access control lists
		text            string // of the error, or "" for none
	}{
		{"mine", mine, mine, ""},
		{"read by others", mine + readByAll, mine + readByAll, ""},
		{"a file that others change", mine, mine + changedByAll, "can be changed by S-1-1-0"},
		{"a directory that others change", mine + changedByAll, mine, "who can replace key file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			temp, err := os.MkdirTemp("", "countersign-test-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(temp) }) // not t.TempDir: Wine cannot remove it
			path := filepath.Join(temp, "dir", "key")
			makeDirWith(t, filepath.Dir(path), tt.dir)
			makeFileWith(t, path, tt.file)
			err = access.CheckWriters("key file", path)
			if tt.text == "" {
				if err != nil {
					t.Errorf("got error %v, want none", err)
				}
				return
			}
			if !errors.Is(err, signer.ErrInsecure) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got error %v, want ErrInsecure with %q", err, tt.text)
			}
			if hint, ok := signer.HintOf(err); !ok || hint.Do == "" {
				t.Error("the error has no remedy")
			}
		})
	}
}

func TestCheckWritersOfMissingFile(t *testing.T) {
	if err := access.CheckWriters("key file", `C:\countersign-test-absent\key`); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want ErrNotExist", err)
	}
}

func TestCheckWritersOfDevice(t *testing.T) {
	if err := access.CheckWriters("configuration file", "NUL"); err != nil {
		t.Error(err)
	}
}

// attributes returns those of a new file or directory with the security descriptor sddl.
func attributes(t *testing.T, sddl string) *windows.SecurityAttributes {
	t.Helper()
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		t.Fatal(err)
	}
	a := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	a.Length = uint32(unsafe.Sizeof(*a))
	return a
}

func makeDirWith(t *testing.T, path, sddl string) {
	t.Helper()
	name, err := windows.UTF16PtrFromString(path)
	if err == nil {
		err = windows.CreateDirectory(name, attributes(t, sddl))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func makeFileWith(t *testing.T, path, sddl string) {
	t.Helper()
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, attributes(t, sddl), windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := windows.CloseHandle(h); err != nil {
		t.Fatal(err)
	}
}
