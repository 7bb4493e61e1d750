package signertest_test

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func brokenUnusable() []broken {
	return []broken{
		{"damaged file is absent", filing(parseSays(signer.ErrNotFound)), "Damaged", "Open of a key whose file was cut"},
		{"damaged file is unavailable", filing(parseSays(signer.ErrUnavailable)), "Damaged", "Open of a key whose file was cut"},
		{"empty file is absent", filing(emptyIsAbsent), "Damaged", "Open of a key whose file is empty"},
		{"damaged file is replaced", filing(replacesDamaged), "Damaged", "Generate replaced a key whose file was cut"},
		{"damaged file opens as another key", filing(damagedIsAnother), "Damaged", "PublicKey is"},
		{"locked file is absent", filing(parseSays(signer.ErrNotFound)), "Locked", "Open of a key with a passphrase"},
		{"locked file is damaged", filing(parseSays(errors.New("cannot read the key"))), "Locked", "want one that wraps"},
		{"locked file is replaced", filing(replacesDamaged), "Locked", "Generate replaced a key with a passphrase"},
		{"damaged entry is absent", entries(func(error) error { return signer.ErrNotFound }), "Damaged", "Open of a damaged key"},
		{"locked entry is absent", entries(func(error) error { return signer.ErrNotFound }), "Locked", "a search would go on"},
		{"locked entry is unavailable", entries(lockedIs(signer.ErrUnavailable)), "Locked", "a search would go on"},
		{"locked entry is absent, too", entries(lockedIs(errors.Join(signer.ErrLocked, signer.ErrNotFound))), "Locked", "a search would go on"},
	}
}

// parseSays opens keys without a passphrase, and says err of all others.
func parseSays(err error) func(*fileStore) {
	return func(s *fileStore) {
		s.parse = func(ctx context.Context, data []byte) (signer.Signer, error) {
			key, parseErr := signer.ParseRawPrivateKey(ctx, data, nil)
			if parseErr != nil {
				return nil, err
			}
			return signer.New(key)
		}
	}
}

func emptyIsAbsent(s *fileStore) {
	s.parse = func(ctx context.Context, data []byte) (signer.Signer, error) {
		if len(data) == 0 {
			return nil, signer.ErrNotFound
		}
		return signer.Parse(ctx, data, nil)
	}
}

// replacesDamaged writes over a file that holds no key that it can use.
func replacesDamaged(s *fileStore) {
	s.write = func(path string, data []byte) error {
		old, err := os.ReadFile(path)
		if _, unusable := signer.ParseRawPrivateKey(context.Background(), old, nil); err == nil && unusable != nil {
			return os.WriteFile(path, data, 0o600)
		}
		return writeNew(0o600)(path, data)
	}
}

func damagedIsAnother(s *fileStore) {
	s.parse = func(ctx context.Context, data []byte) (signer.Signer, error) {
		k, err := signer.Parse(ctx, data, nil)
		if err != nil {
			return signer.New(newKey())
		}
		return k, nil
	}
}

// An entry is a key in a store without files. The store can be told to damage or
// lock it.
type entryStore struct {
	mu      sync.Mutex
	entries map[string]func() []byte // PEM
	explain func(error) error
}

func (s *entryStore) Open(ctx context.Context, name string) (signer.Signer, error) {
	if err := signer.CheckName(name, 200); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	entry := s.entries[name]
	s.mu.Unlock()
	if entry == nil {
		return nil, fmt.Errorf("%w: no entry", signer.ErrNotFound)
	}
	key, err := signer.ParseRawPrivateKey(ctx, entry(), nil)
	if err != nil {
		return nil, s.explain(err)
	}
	return signer.New(key)
}

func (s *entryStore) set(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[name] = func() []byte { return data }
}

// entries makes stores that explain the error of an unusable key.
func entries(explain func(error) error) func(*testing.T) signertest.Store {
	return func(*testing.T) signertest.Store {
		s := &entryStore{entries: map[string]func() []byte{}, explain: explain}
		return signertest.Store{
			Backend: s,
			Put: func(t *testing.T, name string, key crypto.Signer) {
				s.set(name, encode(ssh.MarshalPrivateKey(key, "")))
			},
			Damage: func(t *testing.T, name string) { s.set(name, s.entries[name]()[:40]) },
			Lock: func(t *testing.T, name string) {
				s.set(name, encode(ssh.MarshalPrivateKeyWithPassphrase(newKey(), "", []byte("secret"))))
			},
		}
	}
}

func encode(block *pem.Block, err error) []byte {
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(block)
}

func lockedIs(other error) func(error) error {
	return func(err error) error {
		if errors.Is(err, signer.ErrLocked) {
			return other
		}
		return err
	}
}

func TestEntryStore(t *testing.T) {
	signertest.Run(t, entries(func(err error) error { return err }))
}
