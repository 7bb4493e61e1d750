package signer

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// A Keeper is a [Backend] that opens each key of another Backend once and
// keeps the Signer in memory for all callers, so that a prompt comes at most
// once per key:
//
//	keys := &signer.Keeper{Backend: &keyring.Backend{}}
//
// It opens a key again when its Signer is stale ([Staler]). It forgets a key
// that is generated, imported or deleted through it; the Signers of that key
// that it handed out are then stale. It does not keep a failure.
//
// A Keeper has the methods of all optional interfaces. They return
// ErrUnsupported if Backend lacks the ability.
//
// A Keeper is safe for concurrent use and must not be copied after first use.
type Keeper struct {
	Backend Backend

	mu   sync.Mutex
	keys map[string]*keptKey
}

var _ interface {
	Backend
	Generator
	Importer
	Exporter
	Lister
	Deleter
	Prober
	Forgetter
} = (*Keeper)(nil)

// Open returns the Signer that is kept under name. If there is none, or if it
// is stale, Open calls Backend.Open, once for all callers that wait for it.
// The call ends with the last of these callers; a caller leaves when its own
// ctx ends. Errors are ctx's and those of Backend.
//
// The method "Unwrap() Signer" of the result returns the Signer of Backend.
func (k *Keeper) Open(ctx context.Context, name string) (Signer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if k.Backend == nil {
		return nil, errNoBackend
	}
	key := k.enter(name)
	defer k.leave(name, key)
	return key.open(ctx, func(ctx context.Context) (Signer, error) { return k.Backend.Open(ctx, name) })
}

// Generate implements [Generator] and forgets the key called name.
func (k *Keeper) Generate(ctx context.Context, name string) (Signer, error) {
	b, err := ability[Generator](k, "generate keys")
	if err != nil {
		return nil, err
	}
	defer k.forget(name) // also after an error: a store may write a key and then fail
	return b.Generate(ctx, name)
}

// Import implements [Importer] and forgets the key called name.
func (k *Keeper) Import(ctx context.Context, name string, key crypto.Signer) error {
	b, err := ability[Importer](k, "import keys")
	if err != nil {
		return err
	}
	defer k.forget(name)
	return b.Import(ctx, name, key)
}

// Export implements [Exporter].
func (k *Keeper) Export(ctx context.Context, name string) (crypto.Signer, error) {
	b, err := ability[Exporter](k, "export keys")
	if err != nil {
		return nil, err
	}
	return b.Export(ctx, name)
}

// List implements [Lister].
func (k *Keeper) List(ctx context.Context) ([]Info, error) {
	b, err := ability[Lister](k, "list its keys")
	if err != nil {
		return nil, err
	}
	return b.List(ctx)
}

// Delete implements [Deleter] and forgets the key called name.
func (k *Keeper) Delete(ctx context.Context, name string) error {
	b, err := ability[Deleter](k, "delete keys")
	if err != nil {
		return err
	}
	defer k.forget(name)
	return b.Delete(ctx, name)
}

// Probe implements [Prober].
func (k *Keeper) Probe(ctx context.Context, name string) (version string, err error) {
	b, err := ability[Prober](k, "probe keys")
	if err != nil {
		return "", err
	}
	return b.Probe(ctx, name)
}

// Forget implements [Forgetter], also for a Backend that keeps keys.
func (k *Keeper) Forget(name string) {
	if b, ok := k.Backend.(Forgetter); ok {
		b.Forget(name)
	}
	k.forget(name)
}

var errNoBackend = errors.New("signer: the field Backend of a Keeper is nil")

func ability[T any](k *Keeper, verb string) (T, error) {
	b, ok := k.Backend.(T)
	switch {
	case k.Backend == nil:
		return b, errNoBackend
	case !ok:
		return b, fmt.Errorf("%w: this key store cannot %s", ErrUnsupported, verb)
	}
	return b, nil
}

// A keptKey is the key of one name, opened or not.
type keptKey struct {
	name      string
	opening   flight[Signer]
	signer    atomic.Pointer[keptSigner] // nil before the first success
	forgotten atomic.Bool
	users     int // the calls of Open that use this keptKey; guarded by Keeper.mu
}

func (k *Keeper) enter(name string) *keptKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keys[name]
	if key == nil {
		if k.keys == nil {
			k.keys = map[string]*keptKey{}
		}
		key = &keptKey{name: name}
		k.keys[name] = key
	}
	key.users++
	return key
}

// leave drops a key that could not be opened, so that wrong names use no memory.
func (k *Keeper) leave(name string, key *keptKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key.users--
	if key.users == 0 && key.signer.Load() == nil && k.keys[name] == key {
		delete(k.keys, name)
	}
}

// holds reports whether the key called name is open.
func (k *Keeper) holds(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keys[name]
	return key != nil && key.signer.Load().isFresh()
}

func (k *Keeper) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.keys[name]; key != nil {
		key.forgotten.Store(true)
		delete(k.keys, name)
	}
}

func (k *keptKey) open(ctx context.Context, open func(context.Context) (Signer, error)) (Signer, error) {
	if s := k.signer.Load(); s.isFresh() {
		return s, nil
	}
	return k.opening.do(ctx, func(ctx context.Context) (Signer, error) {
		old := k.signer.Load()
		if old.isFresh() {
			return old, nil // another flight ended just before this flight began
		}
		s, err := open(ctx)
		if err != nil {
			return nil, err
		}
		next := &keptSigner{s, k.name, &k.forgotten}
		k.signer.CompareAndSwap(old, next) // an abandoned flight that ends late replaces nothing
		return next, nil
	})
}

// A keptSigner is a Signer that becomes stale when its Keeper forgets it.
type keptSigner struct {
	Signer
	name      string
	forgotten *atomic.Bool
}

func (s *keptSigner) Unwrap() Signer { return s.Signer }

func (s *keptSigner) Algorithms() []string { return Algorithms(s.Signer) }

// SignAlgorithm implements [AlgorithmSigner].
func (s *keptSigner) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return SignAlgorithm(ctx, s.Signer, msg, algorithm)
}

// Stale implements [Staler].
func (s *keptSigner) Stale() bool { return s.forgotten.Load() || IsStale(s.Signer) }

// Locked implements [Locker].
func (s *keptSigner) Locked() bool { return IsLocked(s.Signer) }

// String returns the reference of the key or, if its Backend is not a [Mux], its name.
func (s *keptSigner) String() string {
	if named, ok := s.Signer.(fmt.Stringer); ok {
		return named.String()
	}
	return s.name
}

func (s *keptSigner) isFresh() bool { return s != nil && !s.Stale() }
