package docs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// folderVariable names the folder of a machine to the process that enters it.
const folderVariable = "DOCS_TEST_MACHINE"

// A machine has its own network, which reaches nothing but itself, and its own files in
// the folders that the pages write to. So the pages can use the ports and paths that they
// name, and change nothing outside.
type machine struct {
	folder string // etc in it is copied to /etc
	bin    string // with programs that the reader has
}

// changed are the folders whose changes end with the machine.
var changed = []string{"/etc", "/usr/local", "/var/lib"}

// shell returns bash on the machine, whose script is an argument yet to be added.
func (m machine) shell(t *testing.T) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := m.folder + "/home/me"
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir = home
	cmd.Env = []string{
		folderVariable + "=" + m.folder, "HOME=" + home, "PATH=" + m.bin + ":/usr/local/bin:" + os.Getenv("PATH"),
		"SSL_CERT_FILE=" + m.folder + "/authority.pem", "GOPATH=" + goEnv(t, "GOPATH"), "GOCACHE=" + goEnv(t, "GOCACHE"),
	}
	cmd.SysProcAttr = namespaces()
	return cmd
}

func namespaces() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if os.Getuid() != 0 {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// requireNamespaces skips a test where the kernel lets nobody make a machine. Nothing can
// be installed then.
func requireNamespaces(t *testing.T) {
	t.Helper()
	cmd := exec.Command("true")
	cmd.SysProcAttr = namespaces()
	if err := cmd.Run(); err != nil {
		t.Skipf("SKIPPED: no namespaces can be made here: %v", err)
	}
}

// enter makes this process, which has namespaces of its own, a shell on the machine.
func enter(folder string, args []string) error {
	runtime.LockOSThread()
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	own := filepath.Join(folder, "changes")
	if err := os.MkdirAll(own, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", own, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("%s: %w", own, err)
	}
	for _, path := range changed {
		layer := filepath.Join(own, strings.ReplaceAll(path, "/", "-"))
		if err := errors.Join(os.MkdirAll(layer+"/upper", 0o755), os.Mkdir(layer+"/work", 0o700)); err != nil {
			return err
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", path, layer, layer)
		if err := unix.Mount("overlay", path, "overlay", 0, options); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if out, err := exec.Command("cp", "-R", folder+"/etc/.", "/etc").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := startLoopback(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		return err
	}
	os.Unsetenv(folderVariable)
	return syscall.Exec(bash, append([]string{"bash", "-c"}, args...), os.Environ())
}

// startLoopback starts the only interface of a new network.
func startLoopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return cmp.Or(strings.TrimSpace(string(out)), os.Getenv(name))
}
