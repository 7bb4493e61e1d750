package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/limit"
	"github.com/countersign/countersign/internal/filelock"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// maxPending is the number of keys that can wait. A full list takes no more: nobody
// can push out the key of somebody else.
const maxPending = 1000

// maxPerAddress is the number of those that came from one address, so that nobody alone
// can fill the list.
const maxPerAddress = 50

// ErrFull: too many keys wait for approval, or too many from one address.
var ErrFull = errors.New("too many keys wait for approval")

// A Key waits for approval. It was proved: its owner signed a request.
type Key struct {
	Line    string    `json:"key"` // as in authorized_keys, without a name
	Since   time.Time `json:"since"`
	Address string    `json:"address"`
}

// Fingerprint returns the fingerprint of k, or "" if its line is damaged.
func (k Key) Fingerprint() string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.Line))
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(key)
}

// A Pending is the file of the keys that wait for approval. Several processes may use
// it at the same time.
type Pending struct{ path string }

// NewPending returns the list in the file at path, which is made with the first key.
func NewPending(path string) *Pending { return &Pending{path} }

// List returns the keys that wait. Errors are those of package os and of JSON.
func (p *Pending) List() ([]Key, error) {
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, printable.Error(err)
	}
	var all []Key
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s is damaged: remove it: %w", printable.Text(p.path), err)
	}
	return all, nil
}

// Add adds a key, unless it waits already. The address is that of its owner, or "" if a
// proxy did not tell. Errors wrap ErrFull if there is no room.
func (p *Pending) Add(ctx context.Context, key ssh.PublicKey, address string, now time.Time) error {
	line := signer.AuthorizedKey(key)
	return p.change(ctx, func(all []Key) ([]Key, error) {
		switch {
		case slices.ContainsFunc(all, func(k Key) bool { return k.Line == line }):
			return all, nil
		case len(all) >= maxPending:
			return nil, ErrFull
		case countFrom(all, address) >= maxPerAddress:
			return nil, fmt.Errorf("%w from this address", ErrFull)
		}
		return append(all, Key{line, now.UTC(), address}), nil
	})
}

// countFrom returns the number of keys that came from the network of an address.
func countFrom(all []Key, address string) (n int) {
	network := networkOf(address)
	for _, k := range all {
		if network.IsValid() && networkOf(k.Address) == network {
			n++
		}
	}
	return n
}

// networkOf returns the zero Prefix for a text that is no address.
func networkOf(address string) netip.Prefix {
	a, _ := netip.ParseAddr(address) // the zero Addr
	return limit.Network(a)
}

// Remove removes the key with a fingerprint, if it waits.
func (p *Pending) Remove(ctx context.Context, fingerprint string) error {
	return p.change(ctx, func(all []Key) ([]Key, error) {
		return slices.DeleteFunc(all, func(k Key) bool { return k.Fingerprint() == fingerprint }), nil
	})
}

func (p *Pending) change(ctx context.Context, change func([]Key) ([]Key, error)) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := p.List()
	if err != nil {
		return err
	}
	after, err := change(slices.Clone(before))
	if err != nil || slices.Equal(before, after) {
		return err
	}
	data, err := json.MarshalIndent(after, "", "\t")
	if err != nil {
		return err
	}
	return replace(p.path, append(data, '\n'))
}

// lock waits for the lock of the list. It does without on a system that has no locks.
func (p *Pending) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(p.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, printable.Error(err)
	}
	if err := filelock.Wait(ctx, f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// replace writes a file in one step.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".pending-*")
	if err != nil {
		return printable.Error(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return printable.Error(err)
	}
	return printable.Error(os.Rename(f.Name(), path))
}
