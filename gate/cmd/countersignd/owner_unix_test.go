//go:build unix

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/otheruser"
)

// Root makes no files that the user of the gate cannot read.
func TestRootRefusesTheFolderOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give a folder away")
	}
	initialised(t)
	if err := os.Chown(".", otheruser.Nobody, otheruser.Nobody); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"approve", "SHA256:x", "alice"},
		{"approve", "--forget", "SHA256:x"},
		{"rotate"},
		{"init", "--origin", "https://reg.example", "--registry", "http://127.0.0.1:5000", "--listen", "127.0.0.1:8080"},
	} {
		code, _, stderr := run(t, args...)
		if want := "hint: sudo -u nobody countersignd " + args[0]; code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d, want a hint %q:\n%s", args, code, want, stderr)
		}
	}
	if err := os.Chown(".", 54321, 54321); err != nil {
		t.Fatal(err)
	}
	if _, _, stderr := run(t, "rotate"); !strings.Contains(stderr, "hint: sudo -u '#54321' countersignd rotate") {
		t.Errorf("a user without a name:\n%s", stderr)
	}
	if code, _, stderr := run(t, "approve"); code != exitDone {
		t.Errorf("the list: exit code %d: %s", code, stderr)
	}
}

func TestOwnerWritesInTheirFolder(t *testing.T) {
	if !otheruser.Run(t, otheruser.Nobody, otheruser.Nobody) {
		return
	}
	initialised(t)
	if code, _, stderr := run(t, "rotate"); code != exitDone {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestInitBelowAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "file", "")
	a := &app{config: "file/countersignd/countersignd.toml"}
	if err := a.checkOwner(); err == nil {
		t.Error("a folder below a file has an owner")
	}
}
