package signin_test

import (
	"errors"
	"io"
	"net/http"
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

// TestKilledAtEachStep kills a process at its first system call that changes a file,
// another one at its second, and so on, from the first run until it has noted its account.
// The next process finds the key of the killed one, or makes the only key, and takes no
// other key for connected.
func TestKilledAtEachStep(t *testing.T) {
	if step := os.Getenv(stepVariable); step != "" {
		ensureUntilStep(t, step)
		return
	}
	for step := 1; ; step++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "folder", "id_ed25519")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), stepVariable+"="+strconv.Itoa(step)+" "+dir)
		out, err := cmd.CombinedOutput()
		if err == nil && step > 20 {
			t.Logf("%d steps", step-1)
			return
		}
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}
		before, beforeErr := new(file.Backend).Open(t.Context(), path)
		if beforeErr != nil && !errors.Is(beforeErr, signer.ErrNotFound) {
			t.Fatalf("step %d: %v", step, beforeErr)
		}
		c := fileClient(t, dir)
		if s := c.State(t.Context()); s.IsConnected() && (beforeErr != nil || s.Account.Fingerprint != ssh.FingerprintSHA256(before.PublicKey())) {
			t.Errorf("step %d: connected with another key: %+v", step, s)
		}
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

// fileClient returns a client whose key and state are below dir, and which every server
// accepts.
func fileClient(t *testing.T, dir string) *signin.Client {
	return &signin.Client{
		Server: parseOrigin(t, "https://ollama.com"), Keys: signer.Mux{"file": &file.Backend{}},
		Key: "file:" + filepath.Join(dir, "folder", "id_ed25519"), StateDir: filepath.Join(dir, "state"), Base: accepting{},
	}
}

// accepting answers every request as for a key with an account.
type accepting struct{}

func (accepting) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"name":"ann"}`)), Request: req}, nil
}

func ensureUntilStep(t *testing.T, variable string) {
	number, dir, _ := strings.Cut(variable, " ")
	step, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	c := fileClient(t, dir)
	changes := []uintptr{unix.SYS_OPENAT, unix.SYS_MKDIRAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_WRITE, unix.SYS_FSYNC, unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT}
	faults.Watch(t, changes, func(faults.Call) syscall.Errno {
		if step--; step == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return 0
	}, func() {
		var key signer.Signer
		if key, err = c.EnsureKey(t.Context()); err == nil {
			_, err = c.Account(t.Context(), key)
		}
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
