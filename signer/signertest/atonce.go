package signertest

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// atOnce runs fn in n goroutines that start together.
func atOnce(n int, fn func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

// checkSignAtOnce gives each goroutine messages of its own: signatures that are
// mixed up do not verify, even without the race detector.
func checkSignAtOnce(t *testing.T, s *store) {
	key := newEd25519(t)
	pub := publicKey(t, key)
	name := s.put(t, key)
	k, err := s.open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%q): %v", name, err)
	}
	atOnce(64, func(i int) {
		for j := range 2 {
			msg := fmt.Appendf(nil, "message %d of goroutine %d", j, i)
			sig, err := k.Sign(t.Context(), msg)
			if err == nil {
				err = verify(pub, msg, sig)
			}
			if err != nil {
				t.Errorf("goroutine %d: Sign: %v", i, err)
			}
			if !samePublic(k.PublicKey(), pub) {
				t.Errorf("goroutine %d: PublicKey is %s, want %s", i, fingerprint(k.PublicKey()), fingerprint(pub))
			}
		}
	})
}

// checkOpenAtOnce also lets some callers give up: a backend that shares one
// reading of the key must not fail the others with them.
func checkOpenAtOnce(t *testing.T, s *store) {
	var names [2]string
	var pubs [2]ssh.PublicKey
	for i := range names {
		key := newEd25519(t)
		names[i], pubs[i] = s.put(t, key), publicKey(t, key)
	}
	atOnce(16, func(i int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		givesUp := i%4 == 0
		if givesUp {
			go cancel()
		}
		k, err := s.Backend.Open(ctx, names[i%2])
		if givesUp && errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			t.Errorf("goroutine %d: Open: %v", i, err)
			return
		}
		if !samePublic(k.PublicKey(), pubs[i%2]) {
			t.Errorf("goroutine %d: Open gave %s, want %s", i, fingerprint(k.PublicKey()), fingerprint(pubs[i%2]))
		}
	})
}

func checkGenerateAtOnce(t *testing.T, s *store) {
	g := as[signer.Generator](t, s)
	s.checkOneWins(t, func(_ int, name string) (ssh.PublicKey, error) {
		k, err := g.Generate(t.Context(), name)
		if err != nil {
			return nil, err
		}
		return k.PublicKey(), nil
	})
}

func checkImportAtOnce(t *testing.T, s *store) {
	imp := as[signer.Importer](t, s)
	var keys [contenders]crypto.Signer
	var pubs [contenders]ssh.PublicKey
	for i := range keys {
		keys[i] = newEd25519(t)
		pubs[i] = publicKey(t, keys[i])
	}
	s.checkOneWins(t, func(i int, name string) (ssh.PublicKey, error) {
		return pubs[i], imp.Import(t.Context(), name, keys[i])
	})
}

const contenders = 16

// checkOneWins lets many goroutines make a key of the same name. One does; the
// others are told, and all use that key.
func (s *store) checkOneWins(t *testing.T, create func(i int, name string) (ssh.PublicKey, error)) {
	t.Helper()
	name := s.name(t)
	var created, opened [contenders]string
	atOnce(contenders, func(i int) {
		pub, err := create(i, name)
		if err == nil {
			created[i] = fingerprint(pub)
		} else if !errors.Is(err, signer.ErrExists) {
			t.Errorf("goroutine %d: got error %v, want none or ErrExists", i, err)
			return
		}
		k, err := s.Backend.Open(t.Context(), name)
		if err != nil {
			t.Errorf("goroutine %d: Open of the key that is now there: %v", i, err)
			return
		}
		opened[i] = fingerprint(k.PublicKey())
	})
	winners := slices.DeleteFunc(created[:], func(pub string) bool { return pub == "" })
	if len(winners) != 1 {
		t.Fatalf("%d goroutines made the key, want 1", len(winners))
	}
	for i, pub := range opened {
		if pub != winners[0] {
			t.Errorf("goroutine %d opened %s, want the key that was made, %s", i, pub, winners[0])
		}
	}
}
