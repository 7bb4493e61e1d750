package guard

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// Only returns a Signer that signs with s if the purpose of the text is one of
// allowed. For all other texts it returns an error that wraps ErrPurpose and
// [signer.ErrDenied], and does not ask s.
func Only(s signer.Signer, allowed ...Purpose) signer.Signer {
	return &only{s, slices.Clone(allowed)}
}

type only struct {
	signer  signer.Signer
	allowed []Purpose
}

// PublicKey implements [signer.Signer].
func (o *only) PublicKey() ssh.PublicKey { return o.signer.PublicKey() }

// Sign implements [signer.Signer].
func (o *only) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	if err := o.check(msg); err != nil {
		return nil, err
	}
	return o.signer.Sign(ctx, msg)
}

// SignAlgorithm implements [signer.AlgorithmSigner].
func (o *only) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	if err := o.check(msg); err != nil {
		return nil, err
	}
	return signer.SignAlgorithm(ctx, o.signer, msg, algorithm)
}

// Algorithms returns the algorithms of the signer that o limits.
func (o *only) Algorithms() []string { return signer.Algorithms(o.signer) }

func (o *only) check(msg []byte) error {
	err := Check(msg, o.allowed...)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", signer.ErrDenied, err)
	if named, ok := o.signer.(fmt.Stringer); ok {
		err = signer.Wrap("sign", named.String(), err)
	}
	return signer.WithHint(err, signer.Hint{
		Do:  "if this key may sign such a text, add the purpose to the key's list of purposes",
		See: "configuration#limitreference",
	})
}

// String returns the name that the signer gives itself, such as its reference.
func (o *only) String() string { return fmt.Sprint(o.signer) }

// Stale implements [signer.Staler].
func (o *only) Stale() bool { return signer.IsStale(o.signer) }

// Locked implements [signer.Locker].
func (o *only) Locked() bool { return signer.IsLocked(o.signer) }
