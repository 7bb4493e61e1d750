package signin

import (
	"context"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

// A State is all that a window shows of a key and its account.
type State struct {
	// Ref is the reference of the key that the next request uses; "" if Err is set.
	Ref string

	// Explanation tells which references were looked at and why Ref is used.
	Explanation config.Explanation

	// Fingerprint is that of the key; "" if the key was not opened yet, or if it is locked
	// and its store cannot tell whether it is the key that was opened before.
	Fingerprint string

	// Locked: the next request asks a person to unlock the key.
	Locked bool

	// Err tells why no key can be used, such as signer.ErrNotFound. It is nil for a key
	// that is only locked.
	Err error

	// Account is the account of the key with Fingerprint when the server was asked last, at
	// Seen. Its Name is "" if the key was not connected. If Seen is zero, the server was
	// never asked about this key.
	Account Account
	Seen    time.Time
}

// IsConnected reports whether the server accepted the key when it was asked last.
func (s State) IsConnected() bool { return s.Account.Name != "" }

// State tells the state of the key and of its account. It opens no prompt, sends nothing
// to the server, and opens no key of a store that can tell without ([signer.Prober]).
//
// If a store locked, deleted or replaced a key, State makes c forget the opened key. The
// next request then opens the key again, as the state says.
func (c *Client) State(ctx context.Context) State {
	c.setUp()
	versions := map[string]string{}
	e, err := c.choice().Probe(signer.WithoutPrompt(ctx), func(ctx context.Context, ref string) error {
		version, err := c.probe(ctx, ref)
		versions[ref] = version
		return err
	})
	s := State{Explanation: e, Err: err, Locked: errors.Is(err, signer.ErrLocked)}
	if err != nil && !s.Locked {
		return s
	}
	s.Ref, s.Err = e.Tried[len(e.Tried)-1].Ref, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.opened[s.Ref]; ok {
		s.Fingerprint = k.fingerprint
		s.Locked = s.Locked || signer.IsLocked(k.key)
	} else if r := c.loadRecord(); r.Ref == s.Ref && r.Version != "" && r.Version == versions[s.Ref] {
		s.Fingerprint = r.Fingerprint
	}
	if r := c.loadRecord(); s.Fingerprint != "" && r.Fingerprint == s.Fingerprint {
		s.Account, s.Seen = r.account(), r.Seen
	}
	return s
}

// An openedKey is a key that was opened, and the version that it had in its store.
type openedKey struct {
	key                  signer.Signer
	version, fingerprint string
}

// probe returns the version of the key called ref, and the error of opening it without a
// person. It forgets an opened key that its store locked, deleted or replaced.
func (c *Client) probe(ctx context.Context, ref string) (string, error) {
	version, err := c.probeStore(ctx, ref)
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.opened[ref]
	switch {
	case !ok:
	case errors.Is(err, signer.ErrLocked), errors.Is(err, signer.ErrNotFound), err == nil && version != k.version:
		c.forget(ref)
	case err != nil:
		return k.version, nil // the store is gone or does not answer; the key is in memory
	}
	return version, err
}

// probeStore asks the store if it can tell, and else opens the key.
func (c *Client) probeStore(ctx context.Context, ref string) (string, error) {
	b, name, err := c.Keys.Resolve(ref)
	if err != nil {
		return "", err
	}
	if p, ok := b.(signer.Prober); ok {
		version, err := p.Probe(ctx, name)
		if !errors.Is(err, signer.ErrUnsupported) {
			return version, err
		}
	}
	s, err := c.keeper.Open(ctx, ref)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(s.PublicKey()), nil
}

// forget drops an opened key. The caller holds c.mu.
func (c *Client) forget(ref string) {
	delete(c.opened, ref)
	b, name, err := c.Keys.Resolve(ref)
	if f, ok := b.(signer.Forgetter); err == nil && ok {
		f.Forget(name)
	}
}

// openStore opens a key for c.keeper, and notes its version. A key that is replaced in
// the meantime gets the version of the key before, and so is opened once more. A store
// that was locked tells the version after it was unlocked.
func (c *Client) openStore(ctx context.Context, ref string) (signer.Signer, error) {
	version := c.version(ctx, ref)
	s, err := c.Keys.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	if version == "" {
		version = c.version(ctx, ref)
	}
	k := openedKey{s, version, ssh.FingerprintSHA256(s.PublicKey())}
	if version == "" {
		k.version = k.fingerprint
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil {
		c.opened = map[string]openedKey{}
	}
	c.opened[ref] = k
	return s, nil
}

// watchInterval is the time between two looks at the stores. A store can be asked
// without a person, and no store of all systems tells of changes.
const watchInterval = 2 * time.Second

// Watch calls changed with the state now and after each change, until ctx ends. It
// notices at once what c does itself, and within seconds what other programs do: a key
// that is replaced, locked, unlocked or deleted. The calls of changed follow each other on
// the goroutine of Watch.
func (c *Client) Watch(ctx context.Context, changed func(State)) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var last State
	for first := true; ; first = false {
		woken := c.changes()
		state := c.State(ctx)
		if ctx.Err() != nil {
			return
		}
		if first || !state.equals(last) {
			last = state
			changed(state)
		}
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-ticker.C:
		}
	}
}

// equals reports whether a window shows both states in the same way.
func (s State) equals(other State) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return s.Ref == other.Ref && s.Fingerprint == other.Fingerprint && s.Locked == other.Locked && text(s.Err) == text(other.Err) &&
		s.Account == other.Account && s.Seen.Equal(other.Seen) && s.Explanation.String() == other.Explanation.String()
}

// changes returns a channel that is closed at the next change that c makes itself.
func (c *Client) changes() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

// tellChange wakes all calls of Watch. The caller holds c.mu.
func (c *Client) tellChange() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// version returns the version of the key called ref, or "" if its store cannot tell.
func (c *Client) version(ctx context.Context, ref string) string {
	b, name, err := c.Keys.Resolve(ref)
	p, ok := b.(signer.Prober)
	if err != nil || !ok {
		return ""
	}
	version, _ := p.Probe(ctx, name) // Open returns the error
	return version
}
