package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestWindowsNames(t *testing.T) {
	for _, name := range []string{
		`C:\keys\key:stream`, `key:stream`, `C:\keys\key::$DATA`,
		`NUL`, `C:\keys\con`, `.\COM1`, `C:/keys/lpt1.key`, `C:\aux\key`, `\\.\pipe\x`, `//./pipe/x`,
	} {
		if _, err := new(file.Backend).Generate(t.Context(), name); !errors.Is(err, signer.ErrName) {
			t.Errorf("Generate(%q) = %v, want ErrName", name, err)
		}
	}
	dir := tempDir(t)
	for _, name := range []string{
		filepath.Join(dir, "key"), filepath.ToSlash(filepath.Join(dir, "key")), `\\?\` + filepath.Join(dir, "key"),
		filepath.Join(dir, "console"), dir + `\.\key`, dir + `\..\key`,
	} {
		_, err := new(file.Backend).Open(t.Context(), name)
		if !errors.Is(err, signer.ErrNotFound) {
			t.Errorf("Open(%q) = %v, want ErrNotFound", name, err)
		}
	}
}

// In Wine, which maps these lists to modes, it takes a umask such as 022.
func TestWindowsAccess(t *testing.T) {
	me := currentUser(t)
	key := signertest.NewKey(t)
	tests := []struct {
		name  string
		list  string // of SDDL
		other string // who may use the file
	}{
		{"me", "(A;;FA;;;" + me + ")", ""},
		{"me, SYSTEM and administrators", "(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + me + ")", ""},
		{"everyone reads", "(A;;FA;;;" + me + ")(A;;FR;;;WD)", "S-1-1-0"},
		{"everyone does all", "(A;;FA;;;" + me + ")(A;;FA;;;WD)", "S-1-1-0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(tempDir(t), "key")
			writeGuarded(t, path, "D:P"+tt.list, openSSH(t, key))
			if tt.other == "" {
				checkOpens(t, path, publicKey(t, key))
				return
			}
			_, err := new(file.Backend).Open(t.Context(), path)
			if !errors.Is(err, signer.ErrInsecure) {
				t.Fatalf("Open = %v, want ErrInsecure", err)
			}
			for _, want := range []string{path, `icacls "` + path, "*" + me + ":F", "*" + tt.other} {
				if !strings.Contains(told(err), want) {
					t.Errorf("Open = %s, want %q in it", told(err), want)
				}
			}
		})
	}
}

// What Generate writes is hidden from others wherever it is.
func TestWindowsGenerateHides(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	if _, err := new(file.Backend).Generate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	list, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	if sddl := list.String(); strings.Contains(sddl, ";WD)") || strings.Contains(sddl, ";BU)") {
		t.Errorf("others may use the key: %s", sddl)
	}
}

// write writes a file that is hidden from others wherever it is.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	writeGuarded(t, path, "D:P(A;;FA;;;"+currentUser(t)+")", data)
}

func currentUser(t *testing.T) string {
	t.Helper()
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	return user.User.Sid.String()
}

// writeGuarded writes a file with the security descriptor sddl.
func writeGuarded(t *testing.T, path, sddl string, data []byte) {
	t.Helper()
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		t.Fatal(err)
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, attributes, windows.CREATE_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(h), path)
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
