package signer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func newSSH(t testing.TB, key any) ssh.AlgorithmSigner {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s.(ssh.AlgorithmSigner)
}

func TestFromSSH(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			checkSign(t, signer.FromSSH(newSSH(t, k.key)), k.format)
		})
	}
}

// sha1Only is an ssh.Signer of the oldest kind: it cannot choose.
type sha1Only struct{ ssh.Signer }

// disobedient signs with SHA-1 whatever it is told.
type disobedient struct{ ssh.Signer }

func (d disobedient) SignWithAlgorithm(rand io.Reader, msg []byte, _ string) (*ssh.Signature, error) {
	return d.Sign(rand, msg)
}

func TestFromSSHNeverSHA1(t *testing.T) {
	key := newSSH(t, newRSA(t))
	only256, err := ssh.NewSignerWithAlgorithms(key, []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]ssh.Signer{
		"SHA-1 only":     sha1Only{key},
		"SHA-1 and -256": only256,
		"disobedient":    disobedient{key},
	} {
		t.Run(name, func(t *testing.T) {
			sig, err := signer.FromSSH(s).Sign(t.Context(), []byte("hello"))
			wantIs(t, err, signer.ErrUnsupported)
			if sig != nil {
				t.Errorf("got a signature of format %s", sig.Format)
			}
		})
	}
}

// slow is an ssh.Signer that waits, as for a finger on a hardware key.
type slow struct {
	ssh.Signer
	begun, finish chan struct{}
	got           chan string
}

func (s slow) Sign(rand io.Reader, msg []byte) (*ssh.Signature, error) {
	close(s.begun)
	<-s.finish
	s.got <- string(msg)
	return s.Signer.Sign(rand, msg)
}

func TestFromSSHAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := slow{newSSH(t, signertest.NewKey(t)), make(chan struct{}), make(chan struct{}), make(chan string)}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-key.begun
			cancel()
		}()
		msg := []byte("hello")
		_, err := signer.FromSSH(key).Sign(ctx, msg)
		wantIs(t, err, context.Canceled)

		clear(msg) // the caller owns msg again
		close(key.finish)
		if got := <-key.got; got != "hello" {
			t.Errorf("the abandoned call signs %q", got)
		}
	})
}

func TestFuncVerifies(t *testing.T) {
	right, wrong := newSigner(t), newSigner(t)
	damaged := func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := right.Sign(ctx, msg)
		sig.Blob[0] ^= 1
		return sig, err
	}
	misnamed := func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		sig, err := right.Sign(ctx, msg)
		sig.Format = ssh.KeyAlgoECDSA256
		return sig, err
	}
	for name, sign := range map[string]func(context.Context, []byte) (*ssh.Signature, error){
		"another key":     wrong.Sign,
		"another message": func(ctx context.Context, _ []byte) (*ssh.Signature, error) { return right.Sign(ctx, []byte("bye")) },
		"damaged":         damaged,
		"misnamed":        misnamed,
		"empty":           func(context.Context, []byte) (*ssh.Signature, error) { return &ssh.Signature{}, nil },
		"none":            func(context.Context, []byte) (*ssh.Signature, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			sig, err := signer.Func(right.PublicKey(), sign).Sign(t.Context(), []byte("hello"))
			if err == nil || sig != nil {
				t.Errorf("got %v, %v", sig, err)
			}
		})
	}
	checkSign(t, signer.Func(right.PublicKey(), right.Sign), ssh.KeyAlgoED25519)

	_, err := signer.Func(right.PublicKey(), wrong.Sign).Sign(t.Context(), nil)
	if fingerprint := ssh.FingerprintSHA256(right.PublicKey()); err == nil || !strings.Contains(err.Error(), fingerprint) {
		t.Errorf("the error does not name the key: %v", err)
	}
}

func TestFuncPassesErrorsOn(t *testing.T) {
	cause := errors.New("the service is closed on Sundays")
	_, err := signer.Func(newSigner(t).PublicKey(), func(context.Context, []byte) (*ssh.Signature, error) {
		return nil, cause
	}).Sign(t.Context(), nil)
	wantIs(t, err, cause)
}

// Whatever a signer is made of, an ended context ends Sign before anything is
// asked.
func TestSignWithEndedContext(t *testing.T) {
	inner := newSigner(t)
	asked := func(context.Context, []byte) (*ssh.Signature, error) {
		t.Error("the key was asked")
		return nil, errors.New("asked")
	}
	untouched := signer.Func(inner.PublicKey(), asked)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, s := range map[string]signer.Signer{
		"New":     inner,
		"Func":    untouched,
		"FromSSH": signer.FromSSH(signer.ToSSH(t.Context(), untouched)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Sign(ctx, nil)
			wantIs(t, err, context.Canceled)
		})
	}
	_, err := signer.ToSSH(ctx, inner).Sign(rand.Reader, nil)
	wantIs(t, err, context.Canceled)
}
