package keyring

import (
	"errors"
	"fmt"
	"os"

	"github.com/99designs/keyring"
	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/signer"
)

// A keyCtl is the kernel's keyring of the user.
type keyCtl struct{ keyring.Keyring }

func openKeyCtl() (items, error) {
	if err := checkLinked(); err != nil {
		return nil, err
	}
	// A ServiceName would create a keyring here.
	k, err := open99(KeyCtl, keyring.Config{KeyCtlScope: "user"})
	return keyCtl{k}, err
}

// checkLinked looks for the user's keyring in the session's. Without that link
// the kernel lets a process add a key that it cannot read afterwards
// (keyrings(7), "Possession").
func checkLinked() error {
	_, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "keyring", fmt.Sprintf("_uid.%d", os.Getuid()), 0)
	switch {
	case errors.Is(err, unix.ENOKEY), errors.Is(err, unix.EACCES):
		return explain(signer.ErrDenied, KeyCtl, "keyctl", "this session is not linked to the user's keyring").do("keyctl link @u @s")
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		return explain(signer.ErrUnavailable, KeyCtl, "keyctl", "the kernel, or the container's seccomp profile, forbids it: %w", err)
	}
	return err
}

// isVolatile implements [Backend.IsVolatile]: the kernel keeps keys in memory.
func (keyCtl) isVolatile() bool { return true }

// Remove reads the key first: without that, a key that this process may not use
// would count as absent.
func (k keyCtl) Remove(key string) error {
	if _, err := k.Get(key); err != nil {
		return err
	}
	return k.Keyring.Remove(key)
}
