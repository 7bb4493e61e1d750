package signertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

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

func checkOpenAtOnce(t *testing.T, s *store) {
	keys := []string{}
	first, second := newEd25519(t), newEd25519(t)
	keys = append(keys, s.put(t, first), s.put(t, second))
	pubs := []string{fingerprint(publicKey(t, first)), fingerprint(publicKey(t, second))}
	atOnce(16, func(i int) {
		k, err := s.Backend.Open(t.Context(), keys[i%2])
		if err != nil {
			t.Errorf("goroutine %d: Open: %v", i, err)
			return
		}
		if got := fingerprint(k.PublicKey()); got != pubs[i%2] {
			t.Errorf("goroutine %d: Open gave %s, want %s", i, got, pubs[i%2])
		}
	})
}

func checkGenerateAtOnce(t *testing.T, s *store) {
	g := as[signer.Generator](t, s)
	s.checkOneWins(t, func(ctx context.Context, name string) (string, error) {
		k, err := g.Generate(ctx, name)
		if err != nil {
			return "", err
		}
		return fingerprint(k.PublicKey()), nil
	})
}

func checkImportAtOnce(t *testing.T, s *store) {
	imp := as[signer.Importer](t, s)
	s.checkOneWins(t, func(ctx context.Context, name string) (string, error) {
		key := newEd25519(t)
		return fingerprint(publicKey(t, key)), imp.Import(ctx, name, key)
	})
}

// checkOneWins lets many goroutines make a key of the same name. One does; the
// others are told, and all use that key. make returns its fingerprint.
func (s *store) checkOneWins(t *testing.T, make func(context.Context, string) (string, error)) {
	t.Helper()
	name := s.name(t)
	var (
		mu     sync.Mutex
		made   []string
		opened = map[string]bool{}
	)
	atOnce(16, func(i int) {
		pub, err := make(t.Context(), name)
		if err != nil && !errors.Is(err, signer.ErrExists) {
			t.Errorf("goroutine %d: got error %v, want none or ErrExists", i, err)
			return
		}
		k, openErr := s.Backend.Open(t.Context(), name)
		if openErr != nil {
			t.Errorf("goroutine %d: Open of the key that is now there: %v", i, openErr)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		opened[fingerprint(k.PublicKey())] = true
		if err == nil {
			made = append(made, pub)
		}
	})
	if t.Failed() {
		return
	}
	if len(made) != 1 {
		t.Fatalf("%d goroutines made the key, want 1", len(made))
	}
	if len(opened) != 1 || !opened[made[0]] {
		t.Errorf("goroutines opened %v, want the key that was made, %s", opened, made[0])
	}
}
