package keyring

import (
	"errors"
	"slices"

	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

// A keychain is macOS's Keychain. It can tell a locked Keychain from a missing
// key; 99designs/keyring reports every failed query as "not found".
type keychain struct{ keyring.Keyring }

func openKeychain() (items, error) {
	k, err := open99(Keychain, keyring.Config{
		ServiceName: "countersign",
		// The program that stored a key reads it without a prompt. For other
		// programs, macOS asks.
		KeychainTrustApplication: true,
	})
	return keychain{k}, err
}

// version tells when the item was changed last, which macOS gives without unlocking.
func (k keychain) version(key string) (string, error) {
	data, err := k.GetMetadata(key)
	if err != nil {
		return "", err
	}
	return data.ModificationTime.String(), nil
}

// Get also looks for the name in the list of names, which macOS gives without
// unlocking.
func (k keychain) Get(key string) (keyring.Item, error) {
	item, err := k.Keyring.Get(key)
	if !errors.Is(err, keyring.ErrKeyNotFound) {
		return item, err
	}
	keys, listErr := k.Keys()
	if listErr != nil {
		return keyring.Item{}, listErr
	}
	if slices.Contains(keys, key) {
		return keyring.Item{}, explain(signer.ErrLocked, Keychain, "locked", "the key is there and was not handed out: the Keychain is locked, or the prompt was declined")
	}
	return keyring.Item{}, err
}
