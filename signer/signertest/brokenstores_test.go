package signertest_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A store is a good one, some calls of which are replaced.
type store struct {
	*signertest.Memory
	open, generate func(context.Context, string) (signer.Signer, error)
	importKey      func(context.Context, string, crypto.Signer) error
	export         func(context.Context, string) (crypto.Signer, error)
	list           func(context.Context) ([]signer.Info, error)
	delete         func(context.Context, string) error
}

func (s *store) Open(ctx context.Context, name string) (signer.Signer, error) {
	return s.open(ctx, name)
}

func (s *store) Generate(ctx context.Context, name string) (signer.Signer, error) {
	return s.generate(ctx, name)
}

func (s *store) Import(ctx context.Context, name string, key crypto.Signer) error {
	return s.importKey(ctx, name, key)
}

func (s *store) Export(ctx context.Context, name string) (crypto.Signer, error) {
	return s.export(ctx, name)
}

func (s *store) List(ctx context.Context) ([]signer.Info, error) { return s.list(ctx) }

func (s *store) Delete(ctx context.Context, name string) error { return s.delete(ctx, name) }

// storing makes stores that spoil has changed.
func storing(spoil func(s *store)) func(*testing.T) signertest.Store {
	return just(func() signer.Backend {
		m := new(signertest.Memory)
		s := &store{m, m.Open, m.Generate, m.Import, m.Export, m.List, m.Delete}
		spoil(s)
		return s
	})
}

func brokenStores() []broken {
	noSuchKey := errors.New("no such key")
	both := errors.Join(signer.ErrNotFound, signer.ErrUnavailable)
	return []broken{
		{"same key for all", storing(sameForAll), "Open", "PublicKey is"},
		{"Open says nothing", storing(openSays(signer.ErrNotFound, nil)), "OpenAbsent", "Open: got error neither"},
		{"races in Open", storing(racesInOpen), "OpenAtOnce", "Open gave"},
		{"shares a failure", storing(sharesFailure), "OpenAtOnce", "context canceled"},
		{"keeps a failure", storing(keepsFailure), "Context", "context canceled"},
		{"absent without ErrNotFound", storing(openSays(signer.ErrNotFound, noSuchKey)), "OpenAbsent", "Open: got error no such key"},
		{"absent is unavailable", storing(openSays(signer.ErrNotFound, signer.ErrUnavailable)), "OpenAbsent", "Open: got error"},
		{"absent is anything", storing(openSays(signer.ErrNotFound, both)), "OpenAbsent", "besides"},
		{"Open generates", storing(openGenerates), "OpenAbsent", "Open: got error <nil>"},
		{"Sign creates", storing(signCreates), "SignChangesNothing", "changed the store"},
		{"malformed is absent", storing(openSays(signer.ErrName, signer.ErrNotFound)), "Names", "want one that wraps"},
		{"generates under any name", storing(anyName), "Names", "Generate"},
		{"the empty name is any key", storing(emptyIsAny(nil)), "Names", "opened one of several keys"},
		{"the empty name is absent", storing(emptyIsAny(signer.ErrNotFound)), "Names", "with several keys"},
		{"repeats the name", storing(repeats("%s")), "Names", "is repeated"},
		{"repeats the name quoted", storing(repeats("%q")), "Names", "is repeated"},
		{"repeats some of the name", storing(repeats("%.60s")), "Names", "is repeated"},
		{"deaf Open", storing(deaf), "Context", "Open: got error"},
		{"deaf Generate", storing(deaf), "Context", "Generate: got error"},
		{"deaf Import", storing(deaf), "Context", "Import: got error"},
		{"deaf Export", storing(deaf), "Context", "Export: got error"},
		{"deaf List", storing(deaf), "Context", "List: got error"},
		{"deaf Delete", storing(deaf), "Context", "Delete: got error"},
		{"gives up and goes on", storing(goesOn), "Context", "changed the store"},
	}
}

// sameForAll has one key, whatever name it is asked for.
func sameForAll(s *store) {
	key := newKey()
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		if _, err := s.Memory.Open(ctx, name); err != nil {
			return nil, err
		}
		return signer.New(key)
	}
}

// emptyIsAny opens the empty name as the only key, and as the first of several keys
// unless there is an error for that.
func emptyIsAny(several error) func(*store) {
	return func(s *store) {
		s.open = func(ctx context.Context, name string) (signer.Signer, error) {
			keys, err := s.Memory.List(ctx)
			switch {
			case err != nil || name != "" || len(keys) == 0:
				return s.Memory.Open(ctx, name)
			case len(keys) > 1 && several != nil:
				return nil, several
			}
			return s.Memory.Open(ctx, keys[0].Name)
		}
	}
}

// openSays returns another error in place of one.
func openSays(one, other error) func(*store) {
	return func(s *store) {
		s.open = func(ctx context.Context, name string) (signer.Signer, error) {
			k, err := s.Memory.Open(ctx, name)
			if errors.Is(err, one) {
				err = other
			}
			return k, err
		}
	}
}

// racesInOpen opens the key that the last caller asked for.
func racesInOpen(s *store) {
	var shared string
	meet := meeting(16) // as many as the suite has open at once
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		shared = name
		meet()
		return s.Memory.Open(ctx, shared)
	}
}

// sharesFailure reads a key once for all callers, until one of them gives up,
// which it waits for.
func sharesFailure(s *store) {
	type reading struct {
		cancel context.CancelFunc
		wait   func() (signer.Signer, error)
	}
	var mu sync.Mutex
	readings := map[string]reading{}
	gaveUp := make(chan struct{})
	tell := sync.OnceFunc(func() { close(gaveUp) })
	join := func(ctx context.Context, name string) reading {
		mu.Lock()
		defer mu.Unlock()
		r, ok := readings[name]
		if !ok {
			ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			r = reading{cancel, sync.OnceValues(func() (signer.Signer, error) {
				<-gaveUp
				return s.Memory.Open(ctx, name)
			})}
			readings[name] = r
		}
		return r
	}
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		r := join(ctx, name)
		defer context.AfterFunc(ctx, func() { r.cancel(); tell() })()
		return r.wait()
	}
}

// meeting returns a function that keeps its first n callers until all are there,
// so that no luck is needed to see them race.
func meeting(n int64) func() {
	var came atomic.Int64
	complete := make(chan struct{})
	return func() {
		if came.Add(1) == n {
			close(complete)
		}
		<-complete
	}
}

// keepsFailure never asks again for a key that it could not open.
func keepsFailure(s *store) {
	var failed sync.Map
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		if err, ok := failed.Load(name); ok {
			return nil, err.(error)
		}
		k, err := s.Memory.Open(ctx, name)
		if err != nil {
			failed.Store(name, err)
		}
		return k, err
	}
}

func openGenerates(s *store) {
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Open(ctx, name)
		if errors.Is(err, signer.ErrNotFound) {
			return s.Memory.Generate(ctx, name)
		}
		return k, err
	}
}

func signCreates(s *store) {
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		return signs{k, func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
			if _, err := s.Generate(ctx, name+"-session"); err != nil && !errors.Is(err, signer.ErrExists) {
				return nil, err
			}
			return k.Sign(ctx, msg)
		}}, nil
	}
}

func anyName(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Generate(ctx, name)
		if errors.Is(err, signer.ErrName) {
			return signer.New(newKey())
		}
		return k, err
	}
}

func repeats(verb string) func(*store) {
	return func(s *store) {
		s.delete = func(ctx context.Context, name string) error {
			err := s.Memory.Delete(ctx, name)
			if errors.Is(err, signer.ErrName) {
				return fmt.Errorf("delete "+verb+": %w", name, err)
			}
			return err
		}
	}
}

// deaf ignores every context.
func deaf(s *store) {
	lasting := context.WithoutCancel
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		return s.Memory.Open(lasting(ctx), name)
	}
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		return s.Memory.Generate(lasting(ctx), name)
	}
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		return s.Memory.Import(lasting(ctx), name, key)
	}
	s.export = func(ctx context.Context, name string) (crypto.Signer, error) {
		return s.Memory.Export(lasting(ctx), name)
	}
	s.list = func(ctx context.Context) ([]signer.Info, error) { return s.Memory.List(lasting(ctx)) }
	s.delete = func(ctx context.Context, name string) error { return s.Memory.Delete(lasting(ctx), name) }
}

// goesOn returns the error of the context, and stores the key in spite of it.
func goesOn(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Generate(context.WithoutCancel(ctx), name)
		return k, errors.Join(err, ctx.Err())
	}
}
