package access

import (
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// CheckReaders returns ErrInsecure for a file of the current user that other
// users than SYSTEM and the administrators can read or change. It accepts a file
// of another user. The error calls the file by its kind, such as "key file".
func CheckReaders(kind, path string, _ fs.FileInfo) error {
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("reading the permissions of %s %s: %w", kind, printable.Text(path), err)
	}
	me, err := CurrentUser()
	if err != nil {
		return err
	}
	mine, err := owns(me, descriptor)
	if err != nil || !mine {
		return err
	}
	const use = windows.FILE_READ_DATA | windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA |
		windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_READ | windows.GENERIC_WRITE | windows.GENERIC_ALL
	other, err := findOther(descriptor, use, func(sid *windows.SID) bool { return trusted(me, sid) })
	if err != nil || other == "" {
		return err
	}
	err = fmt.Errorf("%w: %s %s is open to %s", signer.ErrInsecure, kind, printable.Text(path), other)
	if !printable.IsSafe(path) {
		return signer.WithHint(err, signer.Hint{Do: "use a copy in your profile, under a name that can be printed"})
	}
	return signer.WithHint(err, signer.Hint{Do: fmt.Sprintf(`icacls "%s" /inheritance:r /grant:r *%s:F /remove:g *%s`, path, me, other)})
}

// CurrentUser returns the SID of the user of this process.
func CurrentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("finding the current user: %w", err)
	}
	return user.User.Sid, nil
}

// owns reports whether the file is the user's or a group's that the user is in:
// the files of an elevated administrator belong to the group of administrators.
func owns(me *windows.SID, descriptor *windows.SECURITY_DESCRIPTOR) (bool, error) {
	owner, _, err := descriptor.Owner()
	if err != nil || owner.Equals(me) {
		return err == nil, err
	}
	return windows.Token(0).IsMember(owner)
}

// findOther returns the SID of a user or group that has one of the rights and is not
// trusted, or "".
func findOther(descriptor *windows.SECURITY_DESCRIPTOR, rights windows.ACCESS_MASK, trusts func(*windows.SID) bool) (string, error) {
	dacl, _, err := descriptor.DACL()
	if err != nil {
		return "", err
	}
	if dacl == nil {
		return "S-1-1-0", nil // no list at all: everyone
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return "", err
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		allows := ace.Header.AceType == windows.ACCESS_ALLOWED_ACE_TYPE && ace.Header.AceFlags&windows.INHERIT_ONLY_ACE == 0
		if allows && ace.Mask&rights != 0 && !trusts(sid) {
			return sid.String(), nil
		}
	}
	return "", nil
}

func trusted(me, sid *windows.SID) bool {
	return sid.Equals(me) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
		sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerRightsSid)
}
