package secretservice

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A KeePassXC is a configuration of KeePassXC with one database.
type KeePassXC struct {
	ConfirmAccess bool // ask before a program reads an item that it did not write
	ConfirmDelete bool // ask before a program deletes an item
	Locked        bool // the database's password was not given
	NoGroup       bool // the database has no group for other programs
}

// Password is the password of Start's keyring and of KeePassXC's database.
const Password = "password"

const (
	exposed = "{00112233-4455-6677-8899-aabbccddeeff}" // the UUID below

	database = `<?xml version="1.0" encoding="UTF-8"?>
<KeePassFile>
<Meta><CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{group}</Value></Item></CustomData></Meta>
<Root><Group><UUID>ABEiM0RVZneImaq7zN3u/w==</UUID><Name>Passwords</Name></Group></Root>
</KeePassFile>`

	// KeePassXC 2.7.4 saves in another thread, and crashes if an item changes meanwhile.
	keepassxcSettings = `[General]
ConfigVersion=2
AutoSaveAfterEveryChange=false
UpdateCheckMessageShown=true
[GUI]
CheckForUpdates=false
[FdoSecrets]
Enabled=true
ShowNotification=false
ConfirmAccessItem=%v
ConfirmDeleteItem=%v
[Security]
NoConfirmMoveEntryToRecycleBin=%v
`
)

// StartKeePassXC starts a bus with KeePassXC as its secret service, and a display
// whose methods answer the prompts of KeePassXC. They end with the test.
func StartKeePassXC(t testing.TB, setup KeePassXC) (*Session, *Display) {
	t.Helper()
	Require(t, "keepassxc", "keepassxc-cli")
	d := StartDisplay(t)
	d.prompts = []string{"--name", "Access Request$|^Unlock Database|^Move entry to recycle bin"}
	s := StartBus(t, d.Env())
	group := exposed
	if setup.NoGroup {
		group = "{}"
	}
	file := filepath.Join(s.dir, "db.kdbx")
	s.write("db.xml", strings.ReplaceAll(database, "{group}", group))
	// -t 100 is the shortest key derivation.
	s.Run(Password+"\n"+Password+"\n", "keepassxc-cli", "import", "-q", "-p", "-t", "100", filepath.Join(s.dir, "db.xml"), file)
	s.write(".config/keepassxc/keepassxc.ini", fmt.Sprintf(keepassxcSettings, setup.ConfirmAccess, setup.ConfirmDelete, !setup.ConfirmDelete))

	if setup.Locked {
		s.daemon = s.start("", "keepassxc", file)
		s.awaitLocked(true)
		return s, d
	}
	s.daemon = s.start(Password+"\n", "keepassxc", "--pw-stdin", file)
	if setup.NoGroup {
		d.until("KeePassXC does not open its database", func() bool { return d.xdotool("search", "--name", "^db.kdbx - KeePassXC") })
		s.await(`object path "/"`, "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
			"org.freedesktop.Secret.Service.ReadAlias", "string:default")
		return s, d
	}
	s.awaitLocked(false)
	return s, d
}

func (s *Session) awaitLocked(locked bool) {
	s.t.Helper()
	s.await(fmt.Sprintf("boolean %v", locked), "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets/aliases/default",
		"org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked")
}

func (s *Session) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
