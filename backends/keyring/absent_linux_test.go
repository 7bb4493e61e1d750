package keyring

import (
	"strings"
	"testing"
)

// An error names KWallet only to users of KDE and to programs that name the store.
func TestAbsentStoresOfOtherDesktops(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	for desktop, named := range map[string]bool{"GNOME": false, "": false, "KDE": true} {
		t.Setenv("XDG_CURRENT_DESKTOP", desktop)
		_, err := new(Backend).Open(t.Context(), "key")
		if err == nil || !strings.Contains(err.Error(), "secret-service") || strings.Contains(err.Error(), "kwallet") != named {
			t.Errorf("on %q: got error %v, want one about the stores of that desktop", desktop, err)
		}
		_, listErr := new(Backend).List(t.Context())
		if listErr == nil || listErr.Error() != err.Error() {
			t.Errorf("on %q: List: got error %v, want that of Open: %v", desktop, listErr, err)
		}
	}
}
