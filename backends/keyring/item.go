package keyring

import (
	"crypto"
	"encoding/pem"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/keyname"
	"github.com/countersign/countersign/signer"
)

const longestName = 200 // with ".gpg" it still fits in a file name

// checkName takes the names that every store can hold, so that keys can be
// moved: pass makes paths of them, in which ".." would lead out of the store,
// and keyctl lists them between semicolons.
func checkName(name string) error {
	if err := keyname.Check(name, longestName); err != nil {
		return err
	}
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, `;\`) {
		return fmt.Errorf(`%w: it must be like a/b/c, without an empty, "." or ".." element, a ";" or a backslash`, signer.ErrName)
	}
	return nil
}

// encode returns the key in OpenSSH's format, which ssh-keygen and ssh-add read
// as well. A key that signs elsewhere cannot be stored.
func encode(name string, key crypto.Signer) ([]byte, error) {
	if _, err := signer.New(key); err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, name)
	if err != nil {
		return nil, fmt.Errorf("%w: this key cannot be written: %w", signer.ErrUnsupported, err)
	}
	return pem.EncodeToMemory(block), nil
}
