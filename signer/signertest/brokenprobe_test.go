package signertest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A prober is a store that can tell the state of a key.
type prober struct {
	*signertest.Memory
	probe func(m *signertest.Memory, ctx context.Context, name string) (string, error)
}

func (p prober) Probe(ctx context.Context, name string) (string, error) {
	return p.probe(p.Memory, ctx, name)
}

// fingerprintOf is right: the version of a key is its fingerprint.
func fingerprintOf(m *signertest.Memory, ctx context.Context, name string) (string, error) {
	k, err := m.Open(ctx, name)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(k.PublicKey()), nil
}

// probing makes stores whose Probe changes a right result.
func probing(change func(version string, err error) (string, error)) func(*testing.T) signertest.Store {
	return just(func() signer.Backend {
		return prober{new(signertest.Memory), func(m *signertest.Memory, ctx context.Context, name string) (string, error) {
			return change(fingerprintOf(m, ctx, name))
		}}
	})
}

func brokenProbes() []broken {
	return []broken{
		{"Probe of an absent key", probing(func(version string, err error) (string, error) {
			if errors.Is(err, signer.ErrNotFound) {
				return "", nil
			}
			return version, err
		}), "OpenAbsent", "Probe: got error <nil>"},
		{"Probe of an impossible name", probing(func(version string, err error) (string, error) {
			if errors.Is(err, signer.ErrName) {
				return "", signer.ErrNotFound
			}
			return version, err
		}), "Names", "Probe"},
		{"Probe goes on after its context", probing(func(version string, err error) (string, error) {
			if errors.Is(err, context.Canceled) {
				return "", nil
			}
			return version, err
		}), "Context", "Probe: got error <nil>"},
		{"Probe finds each key locked", probing(func(string, error) (string, error) {
			return "", signer.ErrLocked
		}), "Probe", "of a key that opens"},
		{"the version differs each time", probing(func(_ string, err error) (string, error) {
			return rand.Text(), err
		}), "Probe", "of one key"},
		{"the version stays for another key", probing(func(_ string, err error) (string, error) {
			return "1", err
		}), "Probe", "took its place"},
		{"Probe takes a locked key for an absent one", probingEntries(func(error) error { return signer.ErrNotFound }), "Locked", "Probe of a locked key"},
		{"Probe takes a locked key for an open one", probingEntries(func(error) error { return nil }), "Locked", "Probe of a locked key: got error <nil>"},
		{"Probe takes a damaged key for an absent one", probingEntries(func(error) error { return signer.ErrNotFound }), "Damaged", "Probe of a damaged key"},
	}
}

// An entryProber is a store whose keys can be damaged and locked, and that can tell it.
type entryProber struct {
	*entryStore
	explain func(error) error
}

func (p entryProber) Probe(ctx context.Context, name string) (string, error) {
	_, err := p.Open(ctx, name)
	if err != nil && !errors.Is(err, signer.ErrNotFound) && !errors.Is(err, signer.ErrName) && ctx.Err() == nil {
		err = p.explain(err)
	}
	return "", err
}

// probingEntries makes stores whose Probe explains the error of an unusable key.
func probingEntries(explain func(error) error) func(*testing.T) signertest.Store {
	right := entries(func(err error) error { return err })
	return func(t *testing.T) signertest.Store {
		s := right(t)
		s.Backend = entryProber{s.Backend.(*entryStore), explain}
		return s
	}
}

// The suite finds no mistake in stores whose Probe is right.
func TestProbe(t *testing.T) {
	signertest.Run(t, probing(func(version string, err error) (string, error) { return version, err }))
	if testing.Short() {
		return
	}
	signertest.Run(t, probing(func(_ string, err error) (string, error) { return "", err }))
	signertest.Run(t, probing(func(string, error) (string, error) { return "", signer.ErrUnsupported }))
	signertest.Run(t, probingEntries(func(err error) error { return err }))
}
