package signertest_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func brokenKeeping() []broken {
	return []broken{
		{"Export of an absent key", storing(exportAbsent), "OpenAbsent", "Export: got error <nil>"},
		{"Export of another key", storing(exportOther), "Export", "another key"},
		{"Export removes", storing(exportRemoves), "Export", "changed the store"},
		{"List is not sorted", storing(listing(backwards)), "List", "not sorted"},
		{"List lacks one", storing(listing(butOne)), "List", "List lacks"},
		{"List mixes the keys up", storing(listing(mixed)), "List", "with key"},
		{"Delete of an absent key", storing(deleteAbsent), "OpenAbsent", "Delete: got error <nil>"},
		{"Delete does nothing", storing(deleteNothing), "Delete", "after Delete: got error <nil>"},
		{"Delete takes all", storing(deleteAll), "Delete", "key not found"},
		{"remembers a deleted key", storing(remembers), "Replace", "PublicKey is"},
		{"forgets only imported keys", storing(remembersGenerated), "Replace", "PublicKey is"},
		{"public keys follow the name", storing(showsName), "Replace", "the old Signer's PublicKey"},
		{"signers follow the name", storing(followsName), "Replace", "with another key"},
	}
}

func exportAbsent(s *store) {
	s.export = func(ctx context.Context, name string) (crypto.Signer, error) {
		key, err := s.Memory.Export(ctx, name)
		if errors.Is(err, signer.ErrNotFound) {
			return newKey(), nil
		}
		return key, err
	}
}

func exportOther(s *store) {
	s.export = func(context.Context, string) (crypto.Signer, error) { return newKey(), nil }
}

func exportRemoves(s *store) {
	s.export = func(ctx context.Context, name string) (crypto.Signer, error) {
		key, err := s.Memory.Export(ctx, name)
		return key, errors.Join(err, s.Memory.Delete(ctx, name))
	}
}

// listing changes the result of List.
func listing(change func([]signer.Info) []signer.Info) func(*store) {
	return func(s *store) {
		s.list = func(ctx context.Context) ([]signer.Info, error) {
			infos, err := s.Memory.List(ctx)
			return change(infos), err
		}
	}
}

func backwards(infos []signer.Info) []signer.Info {
	slices.Reverse(infos)
	return infos
}

func butOne(infos []signer.Info) []signer.Info { return infos[:max(0, len(infos)-1)] }

func mixed(infos []signer.Info) []signer.Info {
	for i := range infos {
		infos[i].PublicKey = infos[0].PublicKey
	}
	return infos
}

func deleteAbsent(s *store) {
	s.delete = func(ctx context.Context, name string) error {
		err := s.Memory.Delete(ctx, name)
		if errors.Is(err, signer.ErrNotFound) {
			return nil
		}
		return err
	}
}

func deleteNothing(s *store) {
	s.delete = func(ctx context.Context, name string) error {
		_, err := s.Memory.Open(ctx, name)
		return err
	}
}

func deleteAll(s *store) {
	s.delete = func(ctx context.Context, name string) error {
		if _, err := s.Memory.Open(ctx, name); err != nil {
			return err
		}
		infos, err := s.Memory.List(ctx)
		for _, info := range infos {
			err = errors.Join(err, s.Memory.Delete(ctx, info.Name))
		}
		return err
	}
}

// remembers keeps each key that it opened, and never opens it again.
func remembers(s *store) {
	var opened sync.Map
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		if k, ok := opened.Load(name); ok {
			return k.(signer.Signer), nil
		}
		k, err := s.Memory.Open(ctx, name)
		if err == nil {
			opened.Store(name, k)
		}
		return k, err
	}
}

// remembersGenerated forgets an opened key only when a key is imported.
func remembersGenerated(s *store) {
	remembers(s)
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		remembers(s)
		return s.Memory.Import(ctx, name, key)
	}
}

// followsName signs with whatever key has the name by then.
func followsName(s *store) {
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		return signs{k, func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
			now, err := s.Memory.Open(ctx, name)
			if err != nil {
				return nil, err
			}
			return now.Sign(ctx, msg)
		}}, nil
	}
}

// showsName gives the public key of whatever key has the name by then.
func showsName(s *store) {
	s.open = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		return shows{k, func() ssh.PublicKey {
			if now, err := s.Memory.Open(context.WithoutCancel(ctx), name); err == nil {
				return now.PublicKey()
			}
			return k.PublicKey()
		}}, nil
	}
}
