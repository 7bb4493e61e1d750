package access

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/windows"
)

// The lists are in SDDL: C:\ and a profile as Windows makes them, and others. Files with
// such lists cannot be made in Wine, which gives files the rights of the umask.
func TestFindWriter(t *testing.T) {
	me, err := CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	mine := "(A;;FA;;;" + me.String() + ")"
	const everyone, stranger = "can be changed by S-1-1-0", "S-1-5-21-1-2-3-1001"
	for _, tt := range []struct {
		name, sddl string
		rights     windows.ACCESS_MASK
		want       string
	}{
		{"a file of mine", "O:" + me.String() + "D:P" + mine, changeFile, ""},
		{"a file that others read", "O:" + me.String() + "D:P" + mine + "(A;;FR;;;WD)", changeFile, ""},
		{"a file that others write", "O:" + me.String() + "D:P" + mine + "(A;;FW;;;WD)", changeFile, everyone},
		{"a file that others delete", "O:" + me.String() + "D:P" + mine + "(A;;SD;;;WD)", changeFile, everyone},
		{"a file whose list others change", "O:" + me.String() + "D:P" + mine + "(A;;WD;;;WD)", changeFile, everyone},
		{"a file of another user", "O:" + stranger + "D:P" + mine, changeFile, "belongs to " + stranger},
		{"a file of SYSTEM", "O:SYD:P(A;;FA;;;SY)(A;;FA;;;BA)", changeFile, ""},
		{"C:\\", "O:" + trustedInstaller + "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;0x1301bf;;;AU)(A;;0x4;;;AU)", changeDir, ""},
		{"a directory below C:\\", "O:BAD:(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;AU)", changeDir, "can be changed by S-1-5-11"},
		{"a profile", "O:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + me.String() + ")", changeDir, ""},
		{"a directory from which others delete", "O:" + me.String() + "D:P" + mine + "(A;;0x40;;;WD)", changeDir, everyone},
	} {
		descriptor, err := windows.SecurityDescriptorFromString(tt.sddl)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := walk{me: me}.findWriter(descriptor, tt.rights)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q and error %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestCheckWritersOfFile(t *testing.T) {
	dir, err := os.MkdirTemp("", "countersign-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // not t.TempDir: Wine cannot remove it
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckWriters("key file", path); err != nil {
		t.Error(err)
	}
}

func TestCheckWritersOfMissingFile(t *testing.T) {
	if err := CheckWriters("key file", `C:\countersign-test-absent\key`); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want ErrNotExist", err)
	}
}

func TestCheckWritersOfDevice(t *testing.T) {
	if err := CheckWriters("configuration file", "NUL"); err != nil {
		t.Error(err)
	}
}
