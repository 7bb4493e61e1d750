package keyring

import (
	"strings"
	"testing"
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
