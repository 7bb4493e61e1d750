package access_test

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/signer"
)

// An access control list hides behind the mode 0664 of a private group.
func TestCheckWritersOfACL(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: root's group is sure to be private")
	}
	tr := newTree(t)
	tr.file("file", 0o664)
	acl := binary.LittleEndian.AppendUint32(nil, 2) // version, then tag, permissions, id: acl(5)
	for _, entry := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, 0xffffffff}, {2, 6, stranger}, {4, 4, 0xffffffff}, {16, 6, 0xffffffff}, {32, 4, 0xffffffff}} {
		acl = binary.LittleEndian.AppendUint16(acl, entry.tag)
		acl = binary.LittleEndian.AppendUint16(acl, entry.perm)
		acl = binary.LittleEndian.AppendUint32(acl, entry.id)
	}
	if err := unix.Setxattr(tr.path("file"), "system.posix_acl_access", acl, 0); err != nil {
		t.Skip("SKIPPED: no access control lists here: ", err)
	}
	if info, err := os.Stat(tr.path("file")); err != nil || info.Mode().Perm() != 0o664 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if err := access.CheckWriters("key file", tr.path("file")); !errors.Is(err, signer.ErrInsecure) {
		t.Errorf("a file that a list lets another user write: %v", err)
	}
}
