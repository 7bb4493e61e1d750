package access

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/internal/faults"
)

// A group that cannot be looked up counts as shared.
func TestIsPrivateGroupWithoutFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root's group is sure to be private")
	}
	for _, unreadable := range []string{"", "/etc/passwd", "/etc/group"} {
		var private bool
		faults.Watch(t, []uintptr{unix.SYS_OPENAT}, func(c faults.Call) syscall.Errno {
			if c.Path == unreadable {
				return syscall.EACCES
			}
			return 0
		}, func() { private = isPrivateGroup(0, 0) })
		if private != (unreadable == "") {
			t.Errorf("without %q: %v", unreadable, private)
		}
	}
}
