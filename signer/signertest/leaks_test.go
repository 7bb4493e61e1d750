package signertest_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// leaks are backends whose signers, signatures, errors or lists give the key
// away. TestNoSecret has the many ways to print it.
func leaks() []broken {
	return []broken{
		{"Signer with the key", leaking(fieldHolder), "Open", "shows the seed"},
		{"Signer with the key behind String", leaking(shyHolder), "Open", "shows the seed"},
		{"Signer with the unlocked key", leaking(lateHolder), "SignEd25519", "shows the seed"},
		{"Signature with the key", signing(leakInSignature), "SignEd25519", "shows the seed"},
		{"error of Sign with the key", signing(leakInError), "Context", "shows the seed"},
		{"error with the key", storing(existsWithKey), "ImportExisting", "shows the seed"},
		{"comment with the key", storing(commentWithKey), "List", "shows the seed"},
		{"generated key in a field", storing(generatedInField), "Generate", "shows the seed"},
		{"Backend with the key", just(keyInBackend), "Open", "shows the seed"},
	}
}

func leaking(hold func(key crypto.Signer, s signer.Signer) signer.Signer) func(*testing.T) signertest.Store {
	return just(func() signer.Backend {
		return spoiled{new(signertest.Memory), func(_ context.Context, key crypto.Signer, s signer.Signer) signer.Signer {
			return hold(key, s)
		}}
	})
}

type holder struct {
	signer.Signer
	key crypto.Signer
}

func fieldHolder(key crypto.Signer, s signer.Signer) signer.Signer { return holder{s, key} }

type shy struct{ holder }

func (shy) String() string       { return "key" }
func (shy) GoString() string     { return "key" }
func (shy) LogValue() slog.Value { return slog.StringValue("key") }

func shyHolder(key crypto.Signer, s signer.Signer) signer.Signer { return &shy{holder{s, key}} }

type late struct {
	signer.Signer
	unlock func() crypto.Signer
	key    *crypto.Signer
}

func (l *late) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) {
	key := l.unlock()
	l.key = &key
	return l.Signer.Sign(ctx, msg)
}

func lateHolder(key crypto.Signer, s signer.Signer) signer.Signer {
	return &late{Signer: s, unlock: func() crypto.Signer { return key }}
}

func seed(key crypto.Signer) []byte {
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k.Seed()
	}
	return nil
}

func leakInSignature(_ context.Context, key crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := s.Sign(ctx, msg)
		if err == nil {
			sig.Rest = seed(key)
		}
		return sig, err
	}
}

func leakInError(_ context.Context, key crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := s.Sign(ctx, msg)
		if err != nil {
			return nil, fmt.Errorf("signing with %x: %w", seed(key), err)
		}
		return sig, nil
	}
}

func existsWithKey(s *store) {
	s.importKey = func(ctx context.Context, name string, key crypto.Signer) error {
		err := s.Memory.Import(ctx, name, key)
		if errors.Is(err, signer.ErrExists) {
			return fmt.Errorf("importing %v: %w", key, err)
		}
		return err
	}
}

func commentWithKey(s *store) {
	s.list = func(ctx context.Context) ([]signer.Info, error) {
		infos, err := s.Memory.List(ctx)
		for i := range infos {
			key, _ := s.Memory.Export(ctx, infos[i].Name)
			infos[i].Comment = base64.StdEncoding.EncodeToString(seed(key))
		}
		return infos, err
	}
}

func generatedInField(s *store) {
	s.generate = func(ctx context.Context, name string) (signer.Signer, error) {
		k, err := s.Memory.Generate(ctx, name)
		if err != nil {
			return nil, err
		}
		key, err := s.Memory.Export(ctx, name)
		return holder{k, key}, err
	}
}

type cache struct {
	*signertest.Memory
	Keys map[string][]byte
}

func (c cache) Import(ctx context.Context, name string, key crypto.Signer) error {
	c.Keys[name] = seed(key)
	return c.Memory.Import(ctx, name, key)
}

func keyInBackend() signer.Backend {
	return cache{Memory: new(signertest.Memory), Keys: map[string][]byte{}}
}
