package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

// A pass is the password store of the program pass. It explains the program's
// exit codes.
type pass struct {
	keyring.Keyring
	dir string
}

// passPrefix is this program's folder in the password store.
const passPrefix = "countersign"

func openPass() (items, error) {
	if _, err := exec.LookPath("pass"); err != nil {
		return nil, explain(signer.ErrUnavailable, Pass, "pass", "the program is not installed").do("install pass, or use a key file (file:PATH) or a variable (env:NAME)")
	}
	dir := os.Getenv("PASSWORD_STORE_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, explain(signer.ErrUnavailable, Pass, "pass", "neither PASSWORD_STORE_DIR nor HOME is set").do("set PASSWORD_STORE_DIR")
		}
		dir = filepath.Join(home, ".password-store")
	}
	if _, err := os.Stat(filepath.Join(dir, ".gpg-id")); err != nil {
		return nil, explain(signer.ErrUnavailable, Pass, "pass", "there is no store in %s", dir).do("pass init GPG-KEY")
	}
	k, err := open99(Pass, keyring.Config{PassDir: dir, PassPrefix: passPrefix})
	return pass{k, dir}, err
}

// Get treats an empty item as absent. An empty item stays behind if this program
// is killed before it hands over the key, or gpg before it writes. It never held a
// key.
func (p pass) Get(key string) (keyring.Item, error) {
	info, err := os.Stat(filepath.Join(p.dir, passPrefix, key+".gpg"))
	if err == nil && info.Size() == 0 {
		return keyring.Item{}, keyring.ErrKeyNotFound
	}
	item, err := p.Keyring.Get(key)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset == 0 {
		return keyring.Item{}, keyring.ErrKeyNotFound
	}
	return item, locked(err)
}

// version tells the state of the item's file.
func (p pass) version(key string) (string, error) {
	info, err := os.Stat(filepath.Join(p.dir, passPrefix, key+".gpg"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return "", keyring.ErrKeyNotFound
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %v", info.Size(), info.ModTime()), nil
}

func (p pass) Set(item keyring.Item) error { return locked(p.Keyring.Set(item)) }

// locked explains exit code 2, with which gpg and so pass end if gpg cannot use
// its key.
func locked(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return explain(signer.ErrLocked, Pass, "pass", "gpg cannot use its key; its message is above").do("run pass show once in a terminal, which unlocks the GnuPG key")
	}
	return err
}
