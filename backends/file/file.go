// Package file keeps private keys in files.
//
// A name is a path: file:~/.ollama/id_ed25519. A leading ~ is the home
// directory; nothing else is expanded. A relative path is found in Backend.Dir.
package file

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A Backend opens key files in OpenSSH's format or PEM, as [signer.Parse] reads
// them, and writes OpenSSH's. The zero value is ready; it cannot unlock keys
// with a passphrase.
//
// A key file of the current user that others may read or write is refused
// (ErrInsecure), as OpenSSH refuses it. A file of another user is accepted, because
// mounted secrets are such files.
//
// Its methods fail at once if their context has ended. They cannot be
// interrupted while a file system hangs.
type Backend struct {
	// Dir is the folder that List looks into and in which relative names are
	// found; it may begin with ~ as well. Empty: there is none to list, and
	// names are relative to the working directory.
	Dir string

	// Passphrase is asked for the passphrase of an encrypted key, with a prompt
	// that names the key and its file. Nil: nobody can answer.
	Passphrase signer.PassphraseFunc

	// NewPassphrase is asked for the passphrase of a key that is about to be
	// written, with a prompt that names the file. Nil: keys are written without
	// one. An empty answer is an error: no key is left open by mistake.
	NewPassphrase signer.PassphraseFunc

	// Comment is written into keys and .pub files; empty means "countersign".
	// It is one line of at most 1024 bytes, without control characters.
	Comment string
}

var _ interface {
	signer.Backend
	signer.Generator
	signer.Importer
	signer.Exporter
	signer.Lister
	signer.Deleter
} = (*Backend)(nil)

// Open reads the key file that name is the path of. The Signer is a
// [signer.Staler]: it notices when another key takes the file's place, as in a
// Kubernetes secret. An encrypted OpenSSH key is unlocked at its first Sign.
// ErrUnavailable: the path starts with ~ and there is no home directory.
func (b *Backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	path, err := b.locate(ctx, name)
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, path)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (b *Backend) open(ctx context.Context, path string) (*fileSigner, error) {
	data, snapshot, err := load(path)
	if err != nil {
		return nil, err
	}
	s, err := signer.Parse(ctx, data, b.passphraseFor(path))
	if err != nil {
		return nil, invalid(path, data, err)
	}
	return &fileSigner{s, path, snapshot}, nil
}

// Generate makes an Ed25519 key at the path name, with its public half beside
// it in a file of that name and .pub, and missing directories. The key file
// appears whole or not at all, and nothing is overwritten: ErrExists for
// anything at either path. ErrDenied where it cannot write, or where no new
// passphrase was given. The Signer does not ask for that again.
func (b *Backend) Generate(ctx context.Context, name string) (signer.Signer, error) {
	path, err := b.locate(ctx, name)
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	s, written, err := b.store(ctx, path, key)
	if err != nil {
		return nil, err
	}
	data, snapshot, err := load(path)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(data, written) {
		snapshot = keyfile.Snapshot{} // another process replaced the file: the Signer is stale
	}
	return &fileSigner{s, path, snapshot}, nil
}

// Import writes key as Generate does: Ed25519, ECDSA or RSA (ErrUnsupported for
// others). The public half may be there already.
func (b *Backend) Import(ctx context.Context, name string, key crypto.Signer) error {
	path, err := b.locate(ctx, name)
	if err != nil {
		return err
	}
	_, _, err = b.store(ctx, path, key)
	return err
}

// Export returns the private key itself, asking for its passphrase at once.
func (b *Backend) Export(ctx context.Context, name string) (crypto.Signer, error) {
	path, err := b.locate(ctx, name)
	if err != nil {
		return nil, err
	}
	data, _, err := load(path)
	if err != nil {
		return nil, err
	}
	key, err := signer.ParseRawPrivateKey(ctx, data, b.passphraseFor(path))
	if err != nil {
		return nil, invalid(path, data, err)
	}
	return key, nil
}

// Delete removes the key file, and the .pub beside it if that is the same key's.
// It asks for no passphrase, and the key may be damaged or readable by others.
// It refuses a file that holds no private key, and a symbolic link, because the key
// would stay.
func (b *Backend) Delete(ctx context.Context, name string) error {
	path, err := b.locate(ctx, name)
	if err != nil {
		return err
	}
	if target, err := os.Readlink(path); err == nil {
		err := fmt.Errorf("%s is a symbolic link to %s", printable.Text(path), printable.Text(target))
		return signer.WithHint(err, signer.Hint{Do: "delete the key that it leads to, then remove the link"})
	}
	data, _, err := keyfile.Read(path)
	if err != nil {
		return err
	}
	if data, _ = keyfile.PEM(data); !isPrivate(data) {
		return fmt.Errorf("%s (%d bytes) is no private key: it was left as it is", printable.Text(path), len(data))
	}
	if s, err := signer.Parse(ctx, data, nil); err == nil && isPublicHalf(path+".pub", s.PublicKey()) {
		if err := os.Remove(path + ".pub"); err != nil {
			return denied(err)
		}
	}
	if err := os.Remove(path); err != nil {
		return denied(err)
	}
	return printable.Error(syncDir(filepath.Dir(path)))
}
