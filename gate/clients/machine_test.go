package clients

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/internal/secretservice"
)

// bin is the folder with the programs that this module builds.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "clients"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// build builds countersign, docker-credential-countersign, crane and oras.
var build = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-C", "../..", "-o", bin, "./cmd/countersign", "./cmd/docker-credential-countersign")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %s", err, out)
	}
	for _, tool := range []string{"crane", "oras"} {
		path, err := exec.Command("go", "tool", "-n", tool).Output() // Go builds it and tells where it is
		if err != nil {
			return fmt.Errorf("go tool -n %s: %w", tool, err)
		}
		if err := os.Symlink(strings.TrimSpace(string(path)), filepath.Join(bin, tool)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(bin, "podman"), []byte(podmanScript), 0o700)
})

// podmanScript gives podman a store of its own, which needs no module of the kernel.
const podmanScript = `#!/bin/sh
exec /usr/bin/podman --root "$PODMAN_STORE/images" --runroot "$PODMAN_STORE/run" --storage-driver vfs "$@"
`

// A machine is the computer of alice, bob and carol: it has a home folder, gnome-keyring
// with their keys keyring:alice, keyring:bob and keyring:carol, and all programs. They use
// the key of alice: see [machine.as].
type machine struct {
	t    *testing.T
	home string
	env  []string
	keys map[string]string // from a name to a line of authorized_keys
	lock func()            // locks gnome-keyring
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	secretservice.Require(t, "gnome-keyring-daemon")
	if err := build(); err != nil {
		t.Fatal(err)
	}
	session := secretservice.Start(t)
	m := &machine{t: t, home: session.Dir(), keys: map[string]string{}, lock: session.Lock}
	m.env = append(session.Env(), "PATH="+bin+":"+os.Getenv("PATH"), "COUNTERSIGN_KEY=keyring:alice", "LC_ALL=C.UTF-8", "PODMAN_STORE="+m.home+"/podman")
	for _, name := range []string{"alice", "bob", "carol"} {
		out := m.want("", "countersign", "key", "generate", "keyring:"+name)
		_, line, _ := strings.Cut(out, "\n") // after the fingerprint
		m.keys[name] = strings.TrimSpace(line) + " " + name + "\n"
	}
	return m
}

// with returns the machine for a test, with more variables for its programs.
func (m *machine) with(t *testing.T, variables ...string) *machine {
	other := *m
	other.t, other.env = t, append(m.env[:len(m.env):len(m.env)], variables...)
	return &other
}

// as returns the machine with the key of another user.
func (m *machine) as(name string) *machine { return m.with(m.t, "COUNTERSIGN_KEY=keyring:"+name) }

// enrol makes the gate know the keys of alice and bob, but not that of carol.
func (m *machine) enrol(g *gatetest.Gate) {
	m.t.Helper()
	g.Write("authorized_keys", m.keys["alice"]+m.keys["bob"])
	g.Reload()
}

// write writes a file below the home folder.
func (m *machine) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		m.t.Fatal(err)
	}
}

// lacks returns why the machine cannot run a program of a Debian package, or "". A package
// that is missing fails the test in CI.
func (m *machine) lacks(name string) string {
	m.t.Helper()
	switch name {
	case "skopeo", "podman", "python3":
	default:
		return ""
	}
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			m.t.Fatalf("%v: install the package", err)
		}
		return err.Error() + ": install the package"
	}
	if name == "podman" {
		return podmanLacks()
	}
	return ""
}

// podmanLacks returns why podman cannot store images, or "". It needs root, and some
// sandboxes refuse its mounts.
var podmanLacks = sync.OnceValue(func() string {
	home, err := os.MkdirTemp("", "podman")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(home)
	cmd := exec.Command(filepath.Join(bin, "podman"), "import", "--quiet", "-", "empty:v1")
	cmd.Env = append(os.Environ(), "PODMAN_STORE="+home)
	cmd.Stdin = bytes.NewReader(make([]byte, 1024)) // the end of a tar archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Sprintf("podman cannot store images here: %v: %s", err, out)
	}
	return ""
})

// command returns a command of the machine, in the home folder.
func (m *machine) command(args ...string) *exec.Cmd {
	m.t.Helper()
	if why := m.lacks(args[0]); why != "" {
		m.t.Skip("NOT TESTED: " + why)
	}
	cmd := exec.Command("env", args...) // finds the program in the machine's PATH
	cmd.Dir, cmd.Env = m.home, m.env
	return cmd
}

// run runs a program and returns what it printed.
func (m *machine) run(stdin string, args ...string) (string, error) {
	m.t.Helper()
	cmd := m.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// want runs a program that must succeed, and returns its standard output.
func (m *machine) want(stdin string, args ...string) string {
	m.t.Helper()
	cmd := m.command(args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%q: %v: %s%s", args, err, out, &stderr)
	}
	return string(out)
}

// wantFailure runs a program that must fail and print a reason.
func (m *machine) wantFailure(reason string, args ...string) {
	m.t.Helper()
	out, err := m.run("", args...)
	if exit := new(exec.ExitError); !errors.As(err, &exit) || !strings.Contains(out, reason) {
		m.t.Errorf("%q: %v: %s, want a failure with %q", args, err, out, reason)
	}
}

// A runningProxy is a process of "countersign proxy".
type runningProxy struct {
	host string // such as 127.0.0.1:5115
	log  *gatetest.Buffer
	pid  int
	end  func(os.Signal) error // sends the signal, and waits
}

// startProxy starts a proxy before the gate, which ends with the test.
func (m *machine) startProxy(g *gatetest.Gate, flags ...string) runningProxy {
	m.t.Helper()
	cmd := m.command(append([]string{"countersign", "proxy", "--to", g.Origin}, flags...)...)
	log := &gatetest.Buffer{}
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := sync.OnceValue(cmd.Wait)
	end := func(signal os.Signal) error {
		_ = cmd.Process.Signal(signal) // it may have ended
		return ended()
	}
	m.t.Cleanup(func() {
		if err := end(os.Interrupt); err != nil && cmd.ProcessState.Exited() {
			m.t.Errorf("countersign proxy: %v: %s", err, log)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		m.t.Fatalf("countersign proxy: %v: %s", err, log)
	}
	return runningProxy{strings.TrimPrefix(strings.TrimSpace(line), "http://"), log, cmd.Process.Pid, end}
}
