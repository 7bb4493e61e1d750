package signin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer"
)

// startProxy starts the filter between a Flatpak and the bus, with the names in the
// finish-args of the package. It returns the environment of the app.
func startProxy(t *testing.T, s *secretservice.Session, names ...string) []string {
	t.Helper()
	secretservice.Require(t, "xdg-dbus-proxy")
	ready, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(s.Dir(), "proxy")
	args := []string{"--fd=3", s.Address(), socket, "--filter"}
	for _, name := range names {
		args = append(args, "--talk="+name)
	}
	cmd := exec.Command("xdg-dbus-proxy", args...)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{end}, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	t.Cleanup(func() {
		ready.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal("xdg-dbus-proxy did not start")
	}
	env := slices.DeleteFunc(s.Env(), func(v string) bool { return strings.HasPrefix(v, "DBUS_SESSION_BUS_ADDRESS=") })
	return append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+socket)
}

func startSignIn(t *testing.T) *challengetest.Registry {
	t.Helper()
	registry, err := challengetest.Start(challengetest.Config{SignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	return registry
}

// TestAppInFlatpak wants the keychain with the permission of finish-args, and a key file
// without it.
func TestAppInFlatpak(t *testing.T) {
	session := secretservice.Start(t)
	registry := startSignIn(t)
	for want, names := range map[string][]string{"keyring:ollama": {"org.freedesktop.secrets"}, "file:~/.ollama/id_ed25519": nil} {
		session := session
		if names == nil {
			session = secretservice.Start(t) // without the key
		}
		a := startApp(t, startProxy(t, session, names...), registry.URL)
		a.await("no key", func(s shownState) bool { return slices.Equal(s.Kinds, []string{signer.ErrNotFound.Error()}) })
		a.start("ensure")
		a.finish(nil)
		a.await("a key", func(s shownState) bool { return s.Fingerprint != "" })
		if a.state.Ref != want {
			t.Errorf("names %q: the key is %s, want %s", names, a.state.Ref, want)
		}
	}
}

// TestAppThatTheBusRefuses is a Snap whose plug is not connected: AppArmor refuses calls of
// the keychain. No key is made beside the key that may be there.
func TestAppThatTheBusRefuses(t *testing.T) {
	session := secretservice.Start(t)
	session.AddPolicy(`<deny send_destination="org.freedesktop.secrets"/>`)
	a := startApp(t, session.Env(), startSignIn(t).URL)
	a.await("an error", func(s shownState) bool { return s.Ref == "" })
	a.start("ensure")
	m := a.next()
	for m.Done == "" {
		m = a.next()
	}
	if m.Error == "" || !strings.Contains(m.Error, "keyring:ollama") || slices.Contains(m.Kinds, signer.ErrNotFound.Error()) {
		t.Errorf("got %q, %q", m.Error, m.Kinds)
	}
	if _, err := os.Stat(filepath.Join(session.Dir(), ".ollama")); err == nil {
		t.Error("a key was made beside the keychain")
	}
}
