package signertest

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/countersign/countersign/signer"
	"golang.org/x/crypto/ssh"
)

// Memory is a backend that keeps its keys in memory and has every ability. It is a
// fake for tests of code that uses a backend. The zero value is an empty store,
// safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	keys map[string]*memoryKey
}

type memoryKey struct {
	signer  signer.Signer
	private func() crypto.Signer
}

var _ interface {
	signer.Backend
	signer.Generator
	signer.Importer
	signer.Exporter
	signer.Lister
	signer.Deleter
} = (*Memory)(nil)

// Open implements [signer.Backend]. The Signer is a [signer.Staler]: it notices
// that its key was deleted. Errors: ErrNotFound, ErrName.
func (m *Memory) Open(ctx context.Context, name string) (signer.Signer, error) {
	key, err := m.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return &memorySigner{key.signer, func() bool { return m.has(name, key) }}, nil
}

// A memorySigner reaches the Memory through a function, so that nothing that
// prints it shows the other keys.
type memorySigner struct {
	signer.Signer
	isStored func() bool
}

func (s *memorySigner) Stale() bool { return !s.isStored() }

func (s *memorySigner) Algorithms() []string { return signer.Algorithms(s.Signer) }

// SignAlgorithm implements [signer.AlgorithmSigner].
func (s *memorySigner) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return signer.SignAlgorithm(ctx, s.Signer, msg, algorithm)
}

func (m *Memory) has(name string, key *memoryKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[name] == key
}

// Generate implements [signer.Generator]. Errors: ErrExists, ErrName.
func (m *Memory) Generate(ctx context.Context, name string) (signer.Signer, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	if err := m.Import(ctx, name, key); err != nil {
		return nil, err
	}
	return m.Open(ctx, name)
}

// Import implements [signer.Importer]. Errors: ErrExists, ErrName, ErrUnsupported.
func (m *Memory) Import(ctx context.Context, name string, key crypto.Signer) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	s, err := signer.New(key)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.keys[name]; ok {
		return fmt.Errorf("%w: %q in memory: delete it first, or take another name", signer.ErrExists, name)
	}
	if m.keys == nil {
		m.keys = map[string]*memoryKey{}
	}
	m.keys[name] = &memoryKey{s, func() crypto.Signer { return key }}
	return nil
}

// Export implements [signer.Exporter]. Errors: ErrNotFound, ErrName.
func (m *Memory) Export(ctx context.Context, name string) (crypto.Signer, error) {
	key, err := m.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return key.private(), nil
}

func (m *Memory) get(ctx context.Context, name string) (*memoryKey, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.keys[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q in memory", signer.ErrNotFound, name)
	}
	return key, nil
}

// List implements [signer.Lister].
func (m *Memory) List(ctx context.Context) ([]signer.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var infos []signer.Info
	for _, name := range slices.Sorted(maps.Keys(m.keys)) {
		infos = append(infos, signer.Info{Name: name, PublicKey: m.keys[name].signer.PublicKey()})
	}
	return infos, nil
}

// Delete implements [signer.Deleter]. Errors: ErrNotFound, ErrName.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.keys[name]; !ok {
		return fmt.Errorf("%w: %q in memory", signer.ErrNotFound, name)
	}
	delete(m.keys, name)
	return nil
}

func check(ctx context.Context, name string) error {
	if err := signer.CheckName(name, 255); err != nil {
		return err
	}
	return ctx.Err()
}
