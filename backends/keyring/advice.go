package keyring

import (
	"os"
	"slices"
	"strings"
)

// A desktop decides which program keeps a person's secrets.
type desktop int

const (
	noDesktop    desktop = iota // a server, a container, a console
	gnomeDesktop                // gnome-keyring: GNOME, and desktops built on it
	kdeDesktop                  // KWallet: KDE Plasma
	otherDesktop
)

func desktopHere() desktop { return desktopIn(os.Getenv) }

// desktopIn reads XDG_CURRENT_DESKTOP, a list of names with colons between them
// (Desktop Entry Specification, "Recognized desktop entry keys", OnlyShowIn).
func desktopIn(getenv func(string) string) desktop {
	names := strings.Split(strings.ToUpper(getenv("XDG_CURRENT_DESKTOP")), ":")
	gnome := []string{"GNOME", "UNITY", "X-CINNAMON", "CINNAMON", "MATE", "XFCE", "BUDGIE", "PANTHEON", "LXDE"}
	switch {
	case slices.Contains(names, "KDE"):
		return kdeDesktop
	case slices.ContainsFunc(names, func(n string) bool { return slices.Contains(gnome, n) }):
		return gnomeDesktop
	case getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "":
		return noDesktop
	}
	return otherDesktop
}

// noKeychain names the backends that need no keychain.
const noKeychain = "use a key file (file:PATH) or a variable (env:NAME)"

// action returns the usual remedy for an error of store s under a topic of
// docs/keychain.md.
func action(topic string, s Store, d desktop) string {
	switch topic {
	case "no-service":
		return installAction(s, d)
	case "never-unlocked":
		return createAction(d)
	case "locked":
		return unlockAction(s, d)
	case "platforms":
		return "name another store, or " + noKeychain
	case "cgo":
		return "build the program on macOS with CGO_ENABLED=1"
	case "no-bus":
		return "run the program in a desktop session, or " + noKeychain
	case "bus-refused":
		return "run the program as the user of the session, or without DBUS_SESSION_BUS_ADDRESS and XDG_RUNTIME_DIR"
	case "dead-bus":
		return "log out and in again"
	case "bus-died", "dismissed":
		return "try again"
	case "service-died", "kwallet6":
		return "read its messages: journalctl --user"
	case "activation":
		return "start it by hand, and see what it waits for"
	case "keepassxc-group":
		return "in KeePassXC, open the database, then choose Database > Database Settings > Secret Service Integration > Expose entries under this group"
	case "keepassxc-locked":
		return "unlock the database in KeePassXC, and run the program at a terminal, where it can ask"
	case "another-keyring":
		return "make that keyring the default, or move the key"
	case "denied":
		return "give the program access to " + string(s)
	case "no-answer", "hanging":
		return "answer the prompts that are open, on any screen"
	case "lock":
		return "make that directory writable for this user"
	case "not-a-key", "not-a-passphrase":
		return "use another name, or delete the item"
	case "lost-write":
		return "look at the store with its own program"
	case "windows-logon":
		return "log on with a password, or use a key file (file:PATH)"
	case "windows-size":
		return "use an Ed25519 key"
	}
	return ""
}

// installAction is for a bus without a store. Only KDE needs KWallet.
func installAction(s Store, d desktop) string {
	switch {
	case d == kdeDesktop:
		return "switch on KWallet in the system settings"
	case s == KWallet:
		return ""
	case d == gnomeDesktop:
		return "install gnome-keyring, then log out and in again"
	case d == noDesktop:
		return noKeychain
	}
	return "install gnome-keyring or KeePassXC, or " + noKeychain
}

// createAction is for a Secret Service without a default keyring.
func createAction(d desktop) string {
	switch d {
	case kdeDesktop:
		return "create a wallet in KWalletManager"
	case noDesktop:
		return "give gnome-keyring a password: gnome-keyring-daemon --replace --unlock reads it from its input"
	}
	return "create a keyring in Passwords and Keys (seahorse), and make it the default"
}

func unlockAction(s Store, d desktop) string {
	switch {
	case s == Keychain:
		return "security unlock-keychain"
	case s == KWallet || d == kdeDesktop:
		return "open the wallet in KWalletManager, or run the program at a terminal, where it can ask"
	case d == noDesktop:
		return "unlock the keyring: gnome-keyring-daemon --replace --unlock reads its password from its input"
	}
	return "unlock the keyring in Passwords and Keys (seahorse), or run the program at a terminal, where it can ask"
}
