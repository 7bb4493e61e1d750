// Package secretservice runs a private D-Bus session bus with gnome-keyring or
// KeePassXC for tests. It does not touch the user's own session.
package secretservice

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Require ends the test if one of the programs is not installed: with a failure
// in CI, otherwise with a skip.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI tests everything", program)
		}
		t.Skipf("%s is not installed: on Debian, run: apt-get install --no-install-recommends dbus gnome-keyring libsecret-tools keepassxc pass gnupg xvfb xdotool", program)
	}
}

// A Session is a session bus of its own, and a home directory to go with it.
type Session struct {
	t       testing.TB
	dir     string
	address string
	bus     *exec.Cmd
	daemon  *exec.Cmd
	extra   []string
}

// Start starts a bus whose gnome-keyring has an unlocked default keyring. It
// ends with the test.
func Start(t testing.TB) *Session {
	t.Helper()
	s := StartBus(t)
	s.StartKeyring(Password)
	return s
}

// StartBus starts a bus without services. The environment of all programs on the
// bus also has the variables in extra, such as DISPLAY=:1.
func StartBus(t testing.TB, extra ...string) *Session {
	t.Helper()
	Require(t, "dbus-daemon", "dbus-send")
	dir, err := os.MkdirTemp("", "bus") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{t: t, dir: dir, extra: extra}
	for _, sub := range []string{"run", "data", "services", "policy.d", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.KillKeyring()
		s.KillBus()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.startBus()
	return s
}

func (s *Session) startBus() {
	s.t.Helper()
	config := filepath.Join(s.dir, "bus.conf")
	err := os.WriteFile(config, fmt.Appendf(nil, `<busconfig>
  <type>session</type>
  <listen>unix:path=%[1]s/bus</listen>
  <servicedir>%[1]s/services</servicedir>
  <includedir>%[1]s/policy.d</includedir>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`, s.dir), 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	s.bus = exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	s.bus.Env = s.environ()
	out, err := s.bus.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.bus.Start(); err != nil {
		s.t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatalf("dbus-daemon did not start: %v", err)
	}
	s.address = strings.TrimSpace(address)
}

// StartKeyring starts gnome-keyring. With a password, it unlocks the login keyring,
// which is created if necessary.
func (s *Session) StartKeyring(password string) {
	s.t.Helper()
	Require(s.t, "gnome-keyring-daemon")
	args := []string{"gnome-keyring-daemon", "--foreground", "--components=secrets"}
	want := "/org/freedesktop/secrets"
	if password != "" {
		args = append(args, "--unlock")
		want += "/collection/login"
	}
	s.daemon = s.start(password, args...)
	s.await(want, "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Service", "string:Collections")
}

// AddPolicy adds rules to the policy of the bus, such as
// <deny send_interface="..."/>.
func (s *Session) AddPolicy(rules string) {
	s.t.Helper()
	s.write("policy.d/extra.conf", "<busconfig><policy context=\"mandatory\">"+rules+"</policy></busconfig>")
	s.reload()
}

// StartDaemon starts another program that provides name on the bus. It ends with
// the session.
func (s *Session) StartDaemon(name string, args ...string) {
	s.t.Helper()
	s.daemon = s.start("", args...)
	s.await("boolean true", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:"+name)
}

func (s *Session) start(stdin string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = s.Env()
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd
}

// await asks a question on the bus until the answer contains want. Each question
// starts a process, which takes some milliseconds.
func (s *Session) await(want string, question ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, "dbus-send", append([]string{"--session", "--print-reply"}, question...)...)
		cmd.Env = s.Env()
		if out, err := cmd.Output(); err == nil && strings.Contains(string(out), want) {
			return
		}
	}
	s.t.Fatalf("%s did not start", s.daemon.Path)
}

// Lock locks the login keyring.
func (s *Session) Lock() {
	s.t.Helper()
	s.Run("", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login")
}

// Run runs a program on the bus and returns its output.
func (s *Session) Run(stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = s.Env()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

// Monitor returns the output of dbus-monitor for the messages that match filter,
// until stop is called.
func (s *Session) Monitor(filter string) (lines *bufio.Scanner, stop func()) {
	s.t.Helper()
	Require(s.t, "dbus-monitor")
	cmd := exec.Command("dbus-monitor", "--session", filter)
	cmd.Env = s.Env()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	stop = func() { cmd.Process.Kill() }
	s.t.Cleanup(func() { stop(); cmd.Wait() })
	lines = bufio.NewScanner(pipe)
	if !lines.Scan() { // the first line comes when dbus-monitor is ready
		s.t.Fatal("dbus-monitor says nothing")
	}
	return lines, stop
}

// KillKeyring kills the secret service.
func (s *Session) KillKeyring() { kill(&s.daemon) }

// KillBus kills the bus.
func (s *Session) KillBus() { kill(&s.bus) }

// RestartBus ends the bus and starts another one at the same address.
func (s *Session) RestartBus() {
	s.t.Helper()
	s.KillBus()
	s.startBus()
}

// Bus is the process of the bus.
func (s *Session) Bus() *os.Process { return s.bus.Process }

// Keyring is the process of gnome-keyring.
func (s *Session) Keyring() *os.Process { return s.daemon.Process }

func kill(cmd **exec.Cmd) {
	if *cmd == nil {
		return
	}
	(*cmd).Process.Kill()
	(*cmd).Wait()
	*cmd = nil
}

// Dir is the directory of the session's files.
func (s *Session) Dir() string { return s.dir }

// Address is the address of the bus.
func (s *Session) Address() string { return s.address }

// Env is the environment of a program on this bus.
func (s *Session) Env() []string {
	return append(s.environ(), "DBUS_SESSION_BUS_ADDRESS="+s.address)
}

func (s *Session) environ() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.dir,
		"TMPDIR=" + filepath.Join(s.dir, "tmp"),
		"XDG_RUNTIME_DIR=" + filepath.Join(s.dir, "run"),
		"XDG_DATA_HOME=" + filepath.Join(s.dir, "data"),
		"XDG_DATA_DIRS=" + "/usr/local/share:/usr/share",
		"CI=" + os.Getenv("CI"),
		"GORACE=atexit_sleep_ms=0", // or a program with -race takes a second to end
	}
	return append(env, s.extra...)
}
