package keyring

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/signer"
)

// An error tells once what the desktop's own store lacks, with one remedy.
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
