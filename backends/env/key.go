package env

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// A key is a Signer that knows where it came from.
type key struct {
	signer.Signer
	origin origin
}

var _ signer.Staler = (*key)(nil)

func (k *key) Algorithms() []string { return signer.Algorithms(k.Signer) }

func (k *key) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	sig, err := k.Signer.Sign(ctx, msg)
	return sig, k.origin.explain(err)
}

func (k *key) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	sig, err := signer.SignAlgorithm(ctx, k.Signer, msg, algorithm)
	return sig, k.origin.explain(err)
}

func (k *key) Stale() bool { return k.origin.stale() }

// Locked implements [signer.Locker]. A variable that holds the passphrase asks nobody.
func (k *key) Locked() bool { return k.origin.passFrom == "" && signer.IsLocked(k.Signer) }

// An origin tells where a key and its passphrase were found.
type origin struct {
	from     string
	passName string
	passFrom string // empty if it was nowhere
	stale    func() bool
}

func (o origin) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case o.passFrom != "" && errors.Is(err, signer.ErrDenied):
		return fmt.Errorf("%s: %w (passphrase from %s)", o.from, err, o.passFrom)
	case o.passFrom == "" && errors.Is(err, signer.ErrLocked):
		return signer.WithHint(fmt.Errorf("%s: %w", o.from, err), signer.Hint{Do: "set " + o.passName + " or " + o.passName + "_FILE", See: "headless"})
	}
	return fmt.Errorf("%s: %w", o.from, err)
}
