package keyring

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/keyring"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// items are the items of one opened store. An error is one of the store, or a
// *problem.
type items interface {
	Get(key string) (keyring.Item, error) // keyring.ErrKeyNotFound if there is none
	Set(item keyring.Item) error
	Remove(key string) error
	Keys() ([]string, error)
}

// A ring is one opened store. Its methods take names of keys, and their errors
// are of type *problem.
type ring struct {
	items
	store Store
}

// itemKey returns the item's name in the store. In stores where the items of all
// programs share one name space, the names of this program's items have a prefix.
func (r ring) itemKey(name string) string { return r.prefix() + name }

func (r ring) prefix() string {
	if r.store == SecretService || r.store == KeyCtl {
		return "countersign:"
	}
	return ""
}

func (r ring) label(name string) string { return "countersign:" + name }

func (r ring) get(name string) ([]byte, error) {
	item, err := r.item(name)
	return item.Data, err
}

func (r ring) item(name string) (keyring.Item, error) {
	item, err := r.Get(r.itemKey(name))
	if err != nil {
		return keyring.Item{}, r.explain(name, err)
	}
	return item, nil
}

// has reports whether the store has an item of that name. It does not read the
// item if the store can do without, because reading may need a person.
func (r ring) has(name string) (bool, error) {
	var has bool
	var err error
	if store, ok := r.items.(interface {
		Has(key string) (bool, error)
	}); ok {
		has, err = store.Has(r.itemKey(name))
	} else {
		_, err = r.Get(r.itemKey(name))
		has = err == nil
	}
	if errors.Is(err, keyring.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, r.explain(name, err)
	}
	return has, nil
}

// absent always returns an error: signer.ErrNotFound, after which a search goes
// on, or signer.ErrExists.
func (r ring) absent(name string) error {
	has, err := r.has(name)
	switch {
	case err != nil:
		return err
	case has:
		return existsError(name)
	}
	return r.explain(name, keyring.ErrKeyNotFound)
}

func (r ring) explain(name string, err error) error {
	if errors.Is(err, keyring.ErrKeyNotFound) {
		return &problem{kind: signer.ErrNotFound, cause: fmt.Errorf("%s has no item %q", r.store, r.itemKey(name))}
	}
	if isNotJSON(err) { // the text of such an error may quote the item
		return damaged(r.store, "not-a-key", "the item %q is not one of this program's", r.itemKey(name))
	}
	return classify(r.store, err)
}

// isNotJSON reports whether an item is not in the format of 99designs/keyring. A
// passphrase of digits is JSON of another type.
func isNotJSON(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind
}

// A heldKey is a signer in memory, and its private key for Export.
type heldKey struct {
	signer.Signer
	private func(context.Context) (crypto.Signer, error)
}

func (k heldKey) Algorithms() []string { return signer.Algorithms(k.Signer) }

// SignAlgorithm implements [signer.AlgorithmSigner].
func (k heldKey) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return signer.SignAlgorithm(ctx, k.Signer, msg, algorithm)
}

func (r ring) read(ctx context.Context, name string) (heldKey, error) {
	item, err := r.item(name)
	if err != nil {
		return heldKey{}, err
	}
	data := item.Data
	if !bytes.Contains(data, []byte("-----BEGIN")) { // nothing of it is told, because it may be a passphrase
		err := ErrNoKey
		if item.Description == passphraseDescription {
			err = fmt.Errorf("%w, but the passphrase of key files", err)
		}
		return heldKey{}, r.notAKey(name, err)
	}
	s, err := signer.Parse(ctx, data, nil)
	if err != nil {
		return heldKey{}, r.notAKey(name, err)
	}
	return heldKey{s, func(ctx context.Context) (crypto.Signer, error) {
		key, err := signer.ParseRawPrivateKey(ctx, data, nil)
		if err != nil {
			return nil, r.notAKey(name, err)
		}
		return key, nil
	}}, nil
}

// ErrNoKey is the error for an item that was never a key, such as a passphrase.
var ErrNoKey = errors.New("it holds no private key")

func (r ring) notAKey(name string, err error) error {
	return damaged(r.store, "not-a-key", "the item %q cannot be used as a key: %w", r.itemKey(name), err)
}

// write stores an item and reads it back, because some stores report success and
// do not keep the item.
func (r ring) write(item keyring.Item) error {
	if err := r.Set(item); err != nil {
		return classify(r.store, err)
	}
	back, err := r.Get(item.Key)
	if err != nil {
		return fmt.Errorf("%s: reading back the new key: %w", r.store, classify(r.store, err))
	}
	if !bytes.Equal(back.Data, item.Data) {
		return damaged(r.store, "lost-write", "the store reported success and does not hold the key")
	}
	return nil
}

// remove deletes an item and looks whether it is gone, for the same reason.
func (r ring) remove(name string) error {
	if err := r.Remove(r.itemKey(name)); err != nil {
		return r.explain(name, err)
	}
	has, err := r.has(name)
	if err != nil {
		return fmt.Errorf("%s: looking whether the key is gone: %w", r.store, err)
	}
	if has {
		return damaged(r.store, "lost-write", "the store removed an item and still has one of that name")
	}
	return nil
}

// names returns the names of this program's items.
func (r ring) names() ([]string, error) {
	keys, err := r.Keys()
	if err != nil {
		return nil, classify(r.store, err)
	}
	var names []string
	for _, key := range keys {
		name, ours := strings.CutPrefix(key, r.prefix())
		if ours && checkName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}
