package signertest_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// spoiled is a good store whose signers are not.
type spoiled struct {
	*signertest.Memory
	spoil func(ctx context.Context, key crypto.Signer, s signer.Signer) signer.Signer
}

func (b spoiled) Open(ctx context.Context, name string) (signer.Signer, error) {
	key, err := b.Export(ctx, name)
	if err != nil {
		return nil, err
	}
	s, err := signer.New(key)
	if err != nil {
		return nil, err
	}
	return b.spoil(ctx, key, s), nil
}

// signs is a Signer with another Sign.
type signs struct {
	signer.Signer
	sign func(context.Context, []byte) (*ssh.Signature, error)
}

func (s signs) Sign(ctx context.Context, msg []byte) (*ssh.Signature, error) { return s.sign(ctx, msg) }

type signFunc = func(context.Context, []byte) (*ssh.Signature, error)

// signing makes backends whose signers sign as with says.
func signing(with func(ctx context.Context, key crypto.Signer, s signer.Signer) signFunc) func(*testing.T) signertest.Store {
	return just(func() signer.Backend {
		return spoiled{new(signertest.Memory), func(ctx context.Context, key crypto.Signer, s signer.Signer) signer.Signer {
			return signs{s, with(ctx, key, s)}
		}}
	})
}

func brokenSigners() []broken {
	return []broken{
		{"races", signing(races), "SignAtOnce", "does not verify"},
		{"wrong key", signing(wrongKey), "Open", "does not verify"},
		{"signs a digest", signing(signsDigest), "SignEd25519", "does not verify"},
		{"signs nothing", signing(signsNothing), "SignEd25519", "neither a signature nor an error"},
		{"SHA-1", signing(rsaWith(ssh.KeyAlgoRSA)), "SignRSA", `format is "ssh-rsa"`},
		{"SHA-256", signing(rsaWith(ssh.KeyAlgoRSASHA256)), "SignRSA", `format is "rsa-sha2-256"`},
		{"one buffer for all signatures", signing(oneBuffer), "SignEd25519", "went bad"},
		{"trailing data", signing(trailing), "SignEd25519", "in Rest"},
		{"changes the message", signing(changesMessage), "SignEd25519", "changed the message"},
		{"cuts long messages", signing(cutsLong), "SignEd25519", "1 MiB"},
		{"Sign ignores its context", signing(ignoresContext), "Context", "Sign: got error <nil>"},
		{"Sign uses the context of Open", signing(contextOfOpen), "Context", "Sign of 7 bytes: context canceled"},
		{"cancelled for good", signing(cancelledForGood), "Context", "Sign of 7 bytes: context canceled"},
		{"another public key", just(otherPublicKey), "Open", "PublicKey is"},
		{"always stale", just(alwaysStale), "SignChangesNothing", "is stale"},
		{"changes its public key", just(changesPublicKey), "Open", "after Sign"},
	}
}

// races signs the content of a buffer that all goroutines share.
func races(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	var shared []byte
	meet := meeting(2)
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		shared = append(shared[:0], msg...)
		meet()
		return s.Sign(ctx, shared)
	}
}

func wrongKey(context.Context, crypto.Signer, signer.Signer) signFunc {
	s, err := signer.New(newKey())
	if err != nil {
		panic(err)
	}
	return s.Sign
}

func signsDigest(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		digest := sha256.Sum256(msg)
		return s.Sign(ctx, digest[:])
	}
}

func signsNothing(context.Context, crypto.Signer, signer.Signer) signFunc {
	return func(context.Context, []byte) (*ssh.Signature, error) { return nil, nil }
}

func rsaWith(algorithm string) func(context.Context, crypto.Signer, signer.Signer) signFunc {
	return func(_ context.Context, key crypto.Signer, s signer.Signer) signFunc {
		if _, ok := key.(*rsa.PrivateKey); !ok {
			return s.Sign
		}
		return func(_ context.Context, msg []byte) (*ssh.Signature, error) {
			k, err := ssh.NewSignerFromSigner(key)
			if err != nil {
				return nil, err
			}
			return k.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, msg, algorithm)
		}
	}
}

func oneBuffer(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	var blob [ed25519.SignatureSize]byte
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := s.Sign(ctx, msg)
		if err == nil && copy(blob[:], sig.Blob) == len(blob) {
			sig.Blob = blob[:]
		}
		return sig, err
	}
}

func trailing(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := s.Sign(ctx, msg)
		if err == nil {
			sig.Rest = []byte{0}
		}
		return sig, err
	}
}

func changesMessage(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		defer clear(msg)
		return s.Sign(ctx, msg)
	}
}

func cutsLong(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		return s.Sign(ctx, msg[:min(len(msg), 1<<16)])
	}
}

func ignoresContext(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		return s.Sign(context.WithoutCancel(ctx), msg)
	}
}

func contextOfOpen(opening context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	return func(_ context.Context, msg []byte) (*ssh.Signature, error) { return s.Sign(opening, msg) }
}

// cancelledForGood keeps the failure of a caller who gave up.
func cancelledForGood(_ context.Context, _ crypto.Signer, s signer.Signer) signFunc {
	var failed error
	return func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		if failed != nil {
			return nil, failed
		}
		sig, err := s.Sign(ctx, msg)
		failed = err
		return sig, err
	}
}

// shows is a Signer with another PublicKey.
type shows struct {
	signer.Signer
	publicKey func() ssh.PublicKey
}

func (s shows) PublicKey() ssh.PublicKey { return s.publicKey() }

func otherPublicKey() signer.Backend {
	return spoiled{new(signertest.Memory), func(_ context.Context, _ crypto.Signer, s signer.Signer) signer.Signer {
		other := newPublicKey()
		return shows{s, func() ssh.PublicKey { return other }}
	}}
}

func changesPublicKey() signer.Backend {
	return spoiled{new(signertest.Memory), func(_ context.Context, _ crypto.Signer, s signer.Signer) signer.Signer {
		var used atomic.Bool
		sign := func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
			used.Store(true)
			return s.Sign(ctx, msg)
		}
		return shows{signs{s, sign}, func() ssh.PublicKey {
			if used.Load() {
				return newPublicKey()
			}
			return s.PublicKey()
		}}
	}}
}

type stale struct{ signer.Signer }

func (stale) Stale() bool { return true }

func alwaysStale() signer.Backend {
	return spoiled{new(signertest.Memory), func(_ context.Context, _ crypto.Signer, s signer.Signer) signer.Signer {
		return stale{s}
	}}
}

func newPublicKey() ssh.PublicKey {
	pub, err := ssh.NewPublicKey(newKey().Public())
	if err != nil {
		panic(err)
	}
	return pub
}
