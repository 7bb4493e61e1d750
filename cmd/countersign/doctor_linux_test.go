package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/secretservice"
)

type finding struct{ State, Check, About, Seen, Do string }

// runDoctor runs the command as on another machine, with nothing but env.
func runDoctor(t *testing.T, env []string, args ...string) (code int, found []finding) {
	t.Helper()
	program, err := exec.LookPath("countersign")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"doctor", "--json"}, args...)...)
	cmd.Env = append([]string{}, env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	var report struct{ Findings []finding }
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return code, report.Findings
}

// wants looks for a finding of that state and check, whose text has seen in it.
func wants(t *testing.T, found []finding, state, check, about, seen string) {
	t.Helper()
	for _, f := range found {
		if f.Check == check && f.About == about && f.State == state && strings.Contains(f.Seen, seen) {
			return
		}
	}
	t.Errorf("no %s of %s %s with %q in %+v", state, check, about, seen, found)
}

const seed = "KEY=9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

func TestDoctorInAnEmptyEnvironment(t *testing.T) {
	code, found := runDoctor(t, []string{seed, "COUNTERSIGN_KEY=env:KEY"})
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wants(t, found, "note", "keyring", "secret-service", "unavailable")
	wants(t, found, "ok", "signature", "", "")
}

// A bus that accepts and never answers holds nothing up. That matters to those
// who have a key in the keychain, and to nobody else.
func TestDoctorOnADeadBus(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env := []string{seed, "HOME=" + t.TempDir(), "DBUS_SESSION_BUS_ADDRESS=unix:path=" + socket}

	code, found := runDoctor(t, env, "--key", "env:KEY")
	if code != 0 {
		t.Errorf("with the key elsewhere: exit code %d", code)
	}
	wants(t, found, "warning", "keyring", "secret-service", "does not answer")
	code, found = runDoctor(t, env)
	if code != 1 {
		t.Errorf("with the key in the keychain: exit code %d", code)
	}
	wants(t, found, "problem", "key", "", "keyring:ollama, from the built-in order: no answer")
}

func TestDoctorOnADesktop(t *testing.T) {
	session := secretservice.Start(t)
	secretservice.Require(t, "dbus-monitor")
	generate := exec.Command("countersign", "key", "generate", "keyring:ollama")
	generate.Env = session.Env()
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	code, found := runDoctor(t, session.Env())
	if code != 0 {
		t.Errorf("unlocked: exit code %d", code)
	}
	wants(t, found, "ok", "keyring", "secret-service", "unlocked, with 1 key: keyring:ollama")
	wants(t, found, "ok", "key", "", "keyring:ollama, from the built-in order: SHA256:")
	wants(t, found, "ok", "signature", "", "")

	session.Lock()
	stop := watchUnlocking(t, session)
	code, found = runDoctor(t, session.Env())
	if code != 1 {
		t.Errorf("locked, and nobody there: exit code %d", code)
	}
	wants(t, found, "warning", "keyring", "secret-service", "key is locked")
	wants(t, found, "problem", "key", "", "keyring:ollama, from the built-in order: key is locked")
	if asked := stop(); len(asked) > 0 {
		t.Errorf("somebody was asked: %q", asked)
	}
}

// watchUnlocking returns the calls on the bus that unlock or prompt, until stop.
func watchUnlocking(t *testing.T, s *secretservice.Session) (stop func() []string) {
	t.Helper()
	const end = "/end/of/test"
	out, stopMonitor := s.Monitor("type='method_call',destination='org.freedesktop.secrets'")
	return func() (calls []string) {
		defer stopMonitor()
		defer time.AfterFunc(time.Minute, stopMonitor).Stop() // the end may be lost
		s.Run("", "dbus-send", "--session", "--type=method_call", "--dest=org.freedesktop.secrets", end, "org.freedesktop.DBus.Peer.Ping")
		for out.Scan() && !strings.Contains(out.Text(), end) {
			if line := out.Text(); strings.Contains(line, "member=Unlock") || strings.Contains(line, "member=Prompt") {
				calls = append(calls, line)
			}
		}
		return calls
	}
}

// A proxy variable that is no URL is ignored by net/http without a word.
func TestDoctorReportsProxyVariables(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		code, found := runDoctor(t, []string{seed, "COUNTERSIGN_KEY=env:KEY", name + "=http//user:secret@proxy:3128"})
		if code != 1 {
			t.Errorf("%s: exit code %d", name, code)
		}
		wants(t, found, "problem", "proxy", name, "no URL of a proxy")
		for _, f := range found {
			if strings.Contains(f.Seen+f.Do, "secret") {
				t.Errorf("%s: the password is in %+v", name, f)
			}
		}
	}
}
