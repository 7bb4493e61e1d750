package keyring

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/signer"
)

func TestDesktop(t *testing.T) {
	tests := []struct {
		current, display string
		want             desktop
	}{
		{"", "", noDesktop},
		{"", ":0", otherDesktop},
		{"sway", ":0", otherDesktop},
		{"GNOME", "", gnomeDesktop},
		{"ubuntu:GNOME", ":0", gnomeDesktop},
		{"X-Cinnamon", ":0", gnomeDesktop},
		{"KDE", ":0", kdeDesktop},
	}
	for _, tt := range tests {
		env := map[string]string{"XDG_CURRENT_DESKTOP": tt.current, "DISPLAY": tt.display}
		if got := desktopIn(func(name string) string { return env[name] }); got != tt.want {
			t.Errorf("on %q with display %q: desktop %d, want %d", tt.current, tt.display, got, tt.want)
		}
	}
}

// Advice names only programs of the desktop in use.
func TestActionFitsDesktop(t *testing.T) {
	foreign := map[desktop][]string{
		noDesktop:    {"seahorse", "KWallet", "install", "log out"},
		gnomeDesktop: {"KWallet", "KeePassXC"},
		kdeDesktop:   {"seahorse", "gnome-keyring", "KeePassXC"},
	}
	for d, programs := range foreign {
		for _, topic := range []string{"no-bus", "no-service", "never-unlocked", "locked", "denied", "no-answer"} {
			do := action(topic, SecretService, d)
			if do == "" {
				t.Errorf("%s: no action", topic)
			}
			for _, program := range programs {
				if strings.Contains(do, program) {
					t.Errorf("%s on desktop %d: %q names %s", topic, d, do, program)
				}
			}
		}
	}
}

// The desktop's own store and what it lacks is told once, with one remedy.
func TestNoKeychainIsToldOnce(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	t.Setenv("XDG_CURRENT_DESKTOP", "GNOME")
	_, err := (&Backend{Stores: []Store{SecretService, KWallet}}).Open(t.Context(), "key")
	if err == nil || strings.Count(err.Error(), "/nonexistent/bus: connect") != 1 || len(err.Error()) > 250 {
		t.Errorf("got error %v, want the cause once", err)
	}
	if hint, ok := signer.HintOf(err); !ok || hint.See != "keychain#no-bus" || strings.Contains(hint.Do, "KWallet") {
		t.Errorf("hint: got %+v, want that of no-bus", hint)
	}
}
