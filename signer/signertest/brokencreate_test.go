package signertest_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/countersign/countersign/signer"
)

func brokenCreation() []broken {
	return []broken{
		{"generates the same key again", storing(generatesSame), "Generate", "twice"},
		{"generates ECDSA", storing(generatesECDSA), "Generate", "of type ecdsa"},
		{"stores another key than it returns", storing(returnsOther), "Generate", "PublicKey is"},
		{"generated signer signs with another key", storing(generatedSigns), "Generate", "does not verify"},
		{"Generate overwrites", storing(generateOverwrites), "GenerateExisting", "got error <nil>"},
		{"Generate overwrites and objects", storing(generateObjects), "GenerateExisting", "PublicKey is"},
		{"Generate looks before it writes", storing(generateLooks), "GenerateAtOnce", "made the key"},
		{"Import overwrites", storing(importOverwrites), "ImportExisting", "got error <nil>"},
		{"Import looks before it writes", storing(importLooks), "ImportAtOnce", "made the key"},
		{"Import takes a key again", storing(importAgain), "ImportExisting", "got error <nil>"},
		{"Import stores another key", storing(importOther), "Import", "PublicKey is"},
		{"Import takes no pointers", storing(importKinds(noPointers)), "Import", "Import of a *ed25519.PrivateKey"},
		{"Import drops a key", storing(importDrops), "ImportUnfit", "unknown type: got error <nil>"},
		{"Import repairs a damaged key", storing(importRepairs), "ImportUnfit", "stored a damaged key"},
	}
}

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return key
}

// generating stores the key that next yields.
func generating(s *store, next func() crypto.Signer) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		key := next()
		if err := s.Memory.Import(ctx, name, key); err != nil {
			return nil, err
		}
		return signer.New(key)
	}
}

func generatesSame(s *store) {
	key := newKey()
	generating(s, func() crypto.Signer { return key })
}

func generatesECDSA(s *store) {
	generating(s, func() crypto.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
}

func returnsOther(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		if _, err := s.Memory.Generate(ctx, name); err != nil {
			return nil, err
		}
		return signer.New(newKey())
	}
}

func generatedSigns(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Generate(ctx, name)
		if err != nil {
			return nil, err
		}
		return signs{k, wrongKey(ctx, nil, k)}, nil
	}
}

func generateOverwrites(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Generate(ctx, name)
		if errors.Is(err, signer.ErrExists) && s.Memory.Delete(ctx, name) == nil {
			return s.Memory.Generate(ctx, name)
		}
		return k, err
	}
}

func generateObjects(s *store) {
	generateOverwrites(s)
	overwrite := s.generate
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		_, old := s.Memory.Open(ctx, name)
		k, err := overwrite(ctx, name)
		if old == nil {
			err = signer.ErrExists
		}
		return k, err
	}
}

// looks reports whether name is taken, a moment before that is needed: another
// caller looks in that moment too.
func looks(ctx context.Context, s *store, name string, meet func()) error {
	_, err := s.Memory.Open(ctx, name)
	meet()
	if err == nil {
		return fmt.Errorf("%w: %s", signer.ErrExists, name)
	}
	return nil
}

func generateLooks(s *store) {
	generateOverwrites(s)
	overwrite, meet := s.generate, meeting(2)
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		if err := looks(ctx, s, name, meet); err != nil {
			return nil, err
		}
		return overwrite(ctx, name)
	}
}

func importOverwrites(s *store) {
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		err := s.Memory.Import(ctx, name, key)
		if errors.Is(err, signer.ErrExists) && s.Memory.Delete(ctx, name) == nil {
			return s.Memory.Import(ctx, name, key)
		}
		return err
	}
}

func importLooks(s *store) {
	importOverwrites(s)
	overwrite, meet := s.importKey, meeting(2)
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		if err := looks(ctx, s, name, meet); err != nil {
			return err
		}
		return overwrite(ctx, name, key)
	}
}

// importAgain takes the key that is there already for a success.
func importAgain(s *store) {
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		err := s.Memory.Import(ctx, name, key)
		if old, _ := s.Memory.Export(ctx, name); errors.Is(err, signer.ErrExists) && old.Public().(ed25519.PublicKey).Equal(key.Public()) {
			return nil
		}
		return err
	}
}

func importOther(s *store) {
	s.importKey = func(ctx context.Context, name string, _ crypto.Signer) error {
		return s.Memory.Import(ctx, name, newKey())
	}
}

// importKinds decides about the types that key may have.
func importKinds(fits func(key crypto.Signer) error) func(*store) {
	return func(s *store) {
		s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
			if err := fits(key); err != nil {
				return err
			}
			return s.Memory.Import(ctx, name, key)
		}
	}
}

func noPointers(key crypto.Signer) error {
	if _, ok := key.(*ed25519.PrivateKey); ok {
		return signer.ErrUnsupported
	}
	return nil
}

// importDrops returns no error for a key that it did not store.
func importDrops(s *store) {
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		err := s.Memory.Import(ctx, name, key)
		if errors.Is(err, signer.ErrUnsupported) {
			return nil
		}
		return err
	}
}

// importRepairs trusts the seed and forgets the public half.
func importRepairs(s *store) {
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		if k, ok := key.(ed25519.PrivateKey); ok {
			key = ed25519.NewKeyFromSeed(k.Seed())
		}
		return s.Memory.Import(ctx, name, key)
	}
}
