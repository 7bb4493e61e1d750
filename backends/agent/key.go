package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/signer"
)

// A key is a Signer whose key is in the agent.
type key struct {
	signer.AlgorithmSigner
	gone *atomic.Bool // the agent refused to sign and did not list the key any more
}

// Stale implements [signer.Staler].
func (k *key) Stale() bool { return k.gone.Load() }

func (b *Backend) newKey(pub ssh.PublicKey) *key {
	gone := new(atomic.Bool)
	sign := func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		sig, err := b.sign(ctx, pub, msg, algorithm)
		if errors.Is(err, signer.ErrNotFound) {
			gone.Store(true)
		}
		return sig, err
	}
	return &key{signer.AlgorithmFunc(pub, sign), gone}
}

func (b *Backend) sign(ctx context.Context, pub ssh.PublicKey, msg []byte, algorithm string) (*ssh.Signature, error) {
	if !signer.MayPrompt(ctx) {
		return nil, errMayAsk
	}
	// A request is its type, the key, the message and the flags.
	if size := 1 + 4 + len(pub.Marshal()) + 4 + len(msg) + 4; size > maxMessage {
		return nil, fmt.Errorf("%w: the text has %d bytes, and an agent takes %d with the key", signer.ErrUnsupported, len(msg), maxMessage)
	}
	sig, err := call(ctx, b, func(a sshagent.ExtendedAgent) (*ssh.Signature, error) {
		return a.SignWithFlags(pub, msg, flags[algorithm])
	})
	if errors.Is(err, errRefused) {
		return nil, b.explainUnsigned(ctx, pub)
	}
	return sig, err
}

// flags has the flags of RSA keys. gpg-agent refuses flags for other keys.
var flags = map[string]sshagent.SignatureFlags{
	ssh.KeyAlgoRSASHA256: sshagent.SignatureFlagRsaSha256,
	ssh.KeyAlgoRSASHA512: sshagent.SignatureFlagRsaSha512,
}

// explainUnsigned finds out why the agent refused to sign with pub.
func (b *Backend) explainUnsigned(ctx context.Context, pub ssh.PublicKey) error {
	l, err := b.list(ctx)
	if err != nil {
		return err
	}
	fingerprint := ssh.FingerprintSHA256(pub)
	switch {
	case len(l.entries) == 0:
		return l.isEmptyNow(fingerprint)
	case !slices.ContainsFunc(l.entries, func(e entry) bool { return e.fingerprint == fingerprint }):
		return l.lacks(fingerprint)
	}
	return l.refusedToSign(fingerprint)
}
