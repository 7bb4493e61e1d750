package agent

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/countersign/countersign/signer"
)

// Import adds key to the agent until the agent ends, with the limits in b. The name
// becomes the comment of the key; the key's own fingerprint as a name gives it none.
// The private key is sent to the agent.
//
// Errors: ErrExists if the agent has the key, or another key of that name; ErrDenied
// if the agent refuses keys; ErrUnsupported for a type of key that an agent cannot
// hold. Two processes that import different keys under one name at the same time may
// both succeed: an agent has no names, and each key is there by its fingerprint.
func (b *Backend) Import(ctx context.Context, name string, key crypto.Signer) error {
	added, fingerprint, err := b.newAddedKey(name, key)
	if err != nil {
		return err
	}
	done, err := b.lockImport(ctx)
	if err != nil {
		return err
	}
	defer done()
	l, err := b.list(ctx)
	if err != nil {
		return err
	}
	for _, e := range l.entries {
		if e.has(name) || e.fingerprint == fingerprint {
			return l.exists(e)
		}
	}
	_, err = call(ctx, b, func(a sshagent.ExtendedAgent) (struct{}, error) { return struct{}{}, a.Add(added) })
	if err != nil {
		return explainRefusal(err, l.refusedToAdd())
	}
	return nil
}

// newAddedKey checks a key and its name.
func (b *Backend) newAddedKey(name string, key crypto.Signer) (sshagent.AddedKey, string, error) {
	none := sshagent.AddedKey{}
	if name == "" {
		err := fmt.Errorf("%w: a new key needs a comment", signer.ErrName)
		return none, "", signer.WithHint(err, signer.Hint{Do: "write agent:COMMENT"})
	}
	if err := checkName(name); err != nil {
		return none, "", err
	}
	s, err := signer.New(key)
	if err != nil {
		return none, "", err
	}
	if k, ok := key.(*rsa.PrivateKey); ok && len(k.Primes) != 2 {
		return none, "", fmt.Errorf("%w: an agent holds RSA keys with two primes, and this key has %d", signer.ErrUnsupported, len(k.Primes))
	}
	seconds := math.Ceil(b.Lifetime.Seconds())
	if seconds < 0 || seconds > math.MaxUint32 {
		return none, "", fmt.Errorf("%w: an agent keeps a key for at most %v, and the lifetime is %v", signer.ErrUnsupported, math.MaxUint32*time.Second, b.Lifetime)
	}
	fingerprint := ssh.FingerprintSHA256(s.PublicKey())
	comment := name
	if strings.HasPrefix(name, fingerprintPrefix) {
		comment = ""
		if name != fingerprint {
			return none, "", fmt.Errorf("%w: it is the fingerprint of another key than the new key, %s", signer.ErrName, fingerprint)
		}
	}
	return sshagent.AddedKey{PrivateKey: key, Comment: comment, LifetimeSecs: uint32(seconds), ConfirmBeforeUse: b.Confirm}, fingerprint, nil
}

// lockImport keeps the other goroutines of this process from importing, so that one
// of them gets a name. It returns the function that ends this.
func (b *Backend) lockImport(ctx context.Context) (done func(), err error) {
	b.mu.Lock()
	if b.importing == nil {
		b.importing = make(chan struct{}, 1)
	}
	lock := b.importing
	b.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Delete removes a key from the agent, and looks whether it is gone: gpg-agent
// reports success and keeps its keys (ErrUnsupported). The file from which a key was
// added stays. Other errors are those of Open; ErrDenied if the agent refuses.
func (b *Backend) Delete(ctx context.Context, name string) error {
	if name == "" {
		return fmt.Errorf("%w: it is empty, and a key is not deleted because it is the only one", signer.ErrName)
	}
	s, err := b.Open(ctx, name)
	if err != nil {
		return err
	}
	pub := s.PublicKey()
	_, err = call(ctx, b, func(a sshagent.ExtendedAgent) (struct{}, error) { return struct{}{}, a.Remove(pub) })
	refused := errors.Is(err, errRefused)
	if err != nil && !refused {
		return err
	}
	l, err := b.list(ctx)
	if err != nil {
		return err
	}
	fingerprint := ssh.FingerprintSHA256(pub)
	for _, e := range l.entries {
		if e.fingerprint == fingerprint {
			return l.kept(fingerprint, refused)
		}
	}
	return nil
}

// IsVolatile reports true: ssh-agent forgets its keys when it ends. The agent protocol
// does not tell whether another agent, such as gpg-agent, keeps them.
func (b *Backend) IsVolatile(context.Context) (bool, error) { return true, nil }
