package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// newPassphrase returns the function that asks for the passphrase of the new key file
// at path, or nil if the file is not encrypted.
func (b *Backend) newPassphrase(ctx context.Context, path string) func() ([]byte, error) {
	if b.NewPassphrase == nil {
		return nil
	}
	return func() ([]byte, error) {
		return b.NewPassphrase(ctx, "new passphrase for key file "+printable.Text(path))
	}
}

// publicLine returns pub as the content of a .pub file.
func publicLine(pub ssh.PublicKey, comment string) []byte {
	return fmt.Appendf(nil, "%s %s\n", signer.AuthorizedKey(pub), comment)
}

// isPublicHalf reports whether the file at path holds pub and no other key.
func isPublicHalf(path string, pub ssh.PublicKey) bool {
	got, _, err := readPublic(path)
	return err == nil && signer.SameKey(got, pub)
}

// readPublic reads a .pub file.
func readPublic(path string) (pub ssh.PublicKey, comment string, err error) {
	data, _, err := keyfile.Read(path)
	if err != nil {
		return nil, "", err
	}
	pub, comment, _, rest, err := ssh.ParseAuthorizedKey(data)
	if err == nil && len(bytes.TrimSpace(rest)) > 0 {
		err = errors.New("more than one public key")
	}
	return pub, comment, err
}
