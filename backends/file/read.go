package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// load reads the file at path and checks that no other user may read it.
func load(path string) ([]byte, keyfile.Snapshot, error) {
	data, snapshot, err := keyfile.Read(path)
	if errors.Is(err, signer.ErrNotFound) {
		return nil, snapshot, signer.WithHint(err, signer.Hint{Do: "generate or import a key there, or name another file", See: "keys"})
	}
	if err != nil {
		return nil, snapshot, err
	}
	data, _ = keyfile.PEM(data)
	if isPrivate(data) { // chmod is no remedy for a public key
		if err := access.CheckReaders("key file", path, snapshot.Info); err != nil {
			return nil, snapshot, err
		}
	}
	return data, snapshot, nil
}

// isPrivate knows a private key even if it is damaged.
func isPrivate(data []byte) bool { return bytes.Contains(data, []byte("PRIVATE KEY-----")) }

// invalid says which file could not be parsed or unlocked.
func invalid(path string, data []byte, err error) error {
	err = fmt.Errorf("key file %s (%d bytes): %w", printable.Text(path), len(data), keyfile.Explain(data, err))
	private, ok := strings.CutSuffix(path, ".pub")
	if !ok {
		return err
	}
	if _, statErr := os.Stat(private); statErr != nil {
		return err
	}
	return signer.WithHint(err, signer.Hint{Do: "use " + printable.Text(private)})
}

// passphraseFor asks for the passphrase of the key file at path.
func (b *Backend) passphraseFor(path string) signer.PassphraseFunc {
	if b.Passphrase == nil {
		return nil
	}
	return func(ctx context.Context, prompt string) ([]byte, error) {
		return b.Passphrase(ctx, prompt+" ("+printable.Text(path)+")")
	}
}

// A fileSigner knows where its key came from. The key itself is in the closures
// of the Signer that it wraps.
type fileSigner struct {
	s        signer.Signer
	path     string
	snapshot keyfile.Snapshot
}

func (f *fileSigner) PublicKey() ssh.PublicKey { return f.s.PublicKey() }

func (f *fileSigner) Algorithms() []string { return signer.Algorithms(f.s) }

func (f *fileSigner) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	sig, err := f.s.Sign(ctx, msg)
	return sig, f.explain(err)
}

func (f *fileSigner) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	sig, err := signer.SignAlgorithm(ctx, f.s, msg, algorithm)
	return sig, f.explain(err)
}

func (f *fileSigner) explain(err error) error {
	if err != nil {
		return fmt.Errorf("key file %s: %w", printable.Text(f.path), err)
	}
	return nil
}

func (f *fileSigner) Stale() bool { return f.snapshot.Stale() }

func (f *fileSigner) Locked() bool { return signer.IsLocked(f.s) }
