package signin_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/internal/faults"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

const stepVariable = "COUNTERSIGN_TEST_STEP"

// TestEnsureKeyKilledAtEachStep kills a process at its first system call that changes
// a file, another one at its second, and so on. The next process finds the key of the
// killed one, or makes the only key.
func TestEnsureKeyKilledAtEachStep(t *testing.T) {
	if step := os.Getenv(stepVariable); step != "" {
		ensureUntilStep(t, step)
		return
	}
	for step := 1; ; step++ {
		path := filepath.Join(t.TempDir(), "folder", "id_ed25519")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), stepVariable+"="+strconv.Itoa(step)+" "+path)
		out, err := cmd.CombinedOutput()
		if err == nil && step > 8 {
			return
		}
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}
		before, beforeErr := new(file.Backend).Open(t.Context(), path)
		if beforeErr != nil && !errors.Is(beforeErr, signer.ErrNotFound) {
			t.Fatalf("step %d: %v", step, beforeErr)
		}
		c := &signin.Client{Server: parseOrigin(t, "https://ollama.com"), Keys: signer.Mux{"file": &file.Backend{}}, Key: "file:" + path}
		after, err := c.EnsureKey(t.Context())
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if beforeErr == nil && !signer.SameKey(before.PublicKey(), after.PublicKey()) {
			t.Errorf("step %d: the key %s was lost", step, ssh.FingerprintSHA256(before.PublicKey()))
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 2 {
			t.Errorf("step %d: more than one key: %v, %v", step, entries, err)
		}
	}
}

func ensureUntilStep(t *testing.T, variable string) {
	number, path, _ := strings.Cut(variable, " ")
	step, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	c := &signin.Client{Server: parseOrigin(t, "https://ollama.com"), Keys: signer.Mux{"file": &file.Backend{}}, Key: "file:" + path}
	changes := []uintptr{unix.SYS_OPENAT, unix.SYS_MKDIRAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_WRITE, unix.SYS_FSYNC, unix.SYS_LINKAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT}
	faults.Watch(t, changes, func(faults.Call) syscall.Errno {
		if step--; step == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return 0
	}, func() {
		_, err = c.EnsureKey(t.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnsureKeyOnReadOnlyHome(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("SKIPPED: mounting a file system takes root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	got := startChild(t, dir)()
	for _, want := range []string{"make a key: generate file:~/.ollama/id_ed25519: access to key denied", dir, "read-only"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}
