package keyring

import (
	"crypto"
	"encoding/pem"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

const maxNameLength = 200 // with ".gpg" it still fits in a file name

// checkName accepts a name that every store can hold, so that keys can be moved
// between stores. pass makes a path of the name, in which ".." would lead out of
// the store; keyctl separates names with semicolons.
func checkName(name string) error {
	if err := signer.CheckName(name, maxNameLength); err != nil {
		return err
	}
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, `;\`) {
		return fmt.Errorf(`%w: it must be like a/b/c, without an empty, "." or ".." element, a ";" or a backslash`, signer.ErrName)
	}
	return nil
}

// encode returns a Signer with key, and key in OpenSSH's format, which ssh-keygen
// and ssh-add read as well. It refuses a key that signs outside this process.
func encode(name string, key crypto.Signer) (signer.Signer, []byte, error) {
	s, err := signer.New(key)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, name)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: this key cannot be written: %w", signer.ErrUnsupported, err)
	}
	return s, pem.EncodeToMemory(block), nil
}
