package signertest_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// choosing is a Signer with another SignAlgorithm, for all keys alike.
type choosing struct {
	signer.Signer
	sign func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error)
}

func (c choosing) SignAlgorithm(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return c.sign(ctx, msg, algorithm)
}

func choosingWith(sign func(key crypto.Signer, s signer.Signer, ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error)) func(*testing.T) signertest.Store {
	return just(func() signer.Backend {
		return spoiled{new(signertest.Memory), func(_ context.Context, key crypto.Signer, s signer.Signer) signer.Signer {
			return choosing{s, func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
				return sign(key, s, ctx, msg, algorithm)
			}}
		}}
	})
}

func brokenAlgorithms() []broken {
	return []broken{
		{"ignores the algorithm", choosingWith(ignoresAlgorithm), "SignAlgorithm", `want ErrUnsupported`},
		{"takes every SHA-2 for SHA-512", choosingWith(always512), "SignAlgorithm", `SignAlgorithm("rsa-sha2-256"): the signature's format is "rsa-sha2-512"`},
		{"uses SHA-1 on request", choosingWith(allowsSHA1), "SignAlgorithm", `SignAlgorithm("ssh-rsa"), which Algorithms does not name`},
		{"refuses what it offers", choosingWith(refuses256), "SignAlgorithm", `SignAlgorithm("rsa-sha2-256"), which Algorithms names`},
		{"SignAlgorithm ignores its context", choosingWith(ignoresContextOfAlgorithm), "SignAlgorithm", "SignAlgorithm: got error <nil>"},
	}
}

func ignoresAlgorithm(_ crypto.Signer, s signer.Signer, ctx context.Context, msg []byte, _ string) (*ssh.Signature, error) {
	return s.Sign(ctx, msg)
}

func always512(_ crypto.Signer, s signer.Signer, ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	if algorithm == ssh.KeyAlgoRSASHA256 {
		algorithm = ssh.KeyAlgoRSASHA512
	}
	return signer.SignAlgorithm(ctx, s, msg, algorithm)
}

func allowsSHA1(key crypto.Signer, s signer.Signer, ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	if algorithm != ssh.KeyAlgoRSA {
		return signer.SignAlgorithm(ctx, s, msg, algorithm)
	}
	k, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, err
	}
	return k.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, msg, algorithm)
}

func refuses256(_ crypto.Signer, s signer.Signer, ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	if algorithm == ssh.KeyAlgoRSASHA256 {
		return nil, signer.ErrUnsupported
	}
	return signer.SignAlgorithm(ctx, s, msg, algorithm)
}

func ignoresContextOfAlgorithm(_ crypto.Signer, s signer.Signer, ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
	return signer.SignAlgorithm(context.WithoutCancel(ctx), s, msg, algorithm)
}
