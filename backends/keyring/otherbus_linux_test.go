package keyring_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/countersign/countersign/internal/secretservice"
)

// TestBusOfAnotherUser runs a real bus as the user nobody, as sudo -E leaves that
// of the person in the environment.
func TestBusOfAnotherUser(t *testing.T) {
	const nobody = 65534
	if os.Getuid() != 0 {
		t.Skip("only root can run a bus as another user")
	}
	secretservice.Require(t, "dbus-daemon")
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	address := "unix:path=" + filepath.Join(dir, "bus")
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+address, "--print-address")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := fmt.Fscan(out, new(string)); err != nil {
		t.Fatalf("dbus-daemon did not start: %v", err)
	}
	r := openIn(t, []string{"DBUS_SESSION_BUS_ADDRESS=" + address}, settings{Timeout: patience})
	if !slices.Equal(r.Kinds, []string{"ErrDenied"}) {
		t.Errorf("got error %v %q, want ErrDenied", r.Kinds, r.Error)
	}
}

// A program that lives longer than a bus goes on with the next one.
func TestBusStartedAnew(t *testing.T) {
	t.Parallel()
	s := secretservice.Start(t)
	w := startWorker(t, s.Env(), secretServiceOnly)
	made := w.do("generate", "key")
	s.KillKeyring()
	s.RestartBus()
	s.StartKeyring(secretservice.Password)
	if r := w.do("open afresh", "key"); r.Key != made.Key {
		t.Errorf("the key opens as %s%s, want %s", r.Key, r.Error, made.Key)
	}
}
