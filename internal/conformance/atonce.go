package conformance

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// inParallel runs fn in n goroutines that wait for each other without sleeping:
// they start within a fraction of a microsecond if each has a processor.
func inParallel(n int, fn func(i int)) {
	var ready atomic.Int32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for ready.Add(1); ready.Load() < int32(n); {
				runtime.Gosched()
			}
			fn(i)
		})
	}
	wg.Wait()
}

// checkSignAtOnce gives each goroutine messages of its own: signatures that are
// mixed up do not verify, even without the race detector.
func checkSignAtOnce(t TB, s *store) {
	name, pub := s.stored(t)
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
			if !signer.SameKey(k.PublicKey(), pub) {
				t.Errorf("goroutine %d: PublicKey is %s, want %s", i, fingerprint(k.PublicKey()), fingerprint(pub))
			}
		}
	})
}

// checkOpenAtOnce also lets some callers give up: a backend that shares one
// reading of the key must not fail the others with them.
func checkOpenAtOnce(t TB, s *store) {
	var names [2]string
	var pubs [2]ssh.PublicKey
	for i := range names {
		names[i], pubs[i] = s.stored(t)
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
		if !signer.SameKey(k.PublicKey(), pubs[i%2]) {
			t.Errorf("goroutine %d: Open gave %s, want %s", i, fingerprint(k.PublicKey()), fingerprint(pubs[i%2]))
		}
	})
}

func checkGenerateAtOnce(t TB, s *store) {
	g := as[signer.Generator](t, s)
	s.checkOneWins(t, func(name string) (ssh.PublicKey, error) {
		k, err := g.Generate(t.Context(), name)
		if err != nil {
			return nil, err
		}
		return k.PublicKey(), nil
	})
}

func checkImportAtOnce(t TB, s *store) {
	imp := as[signer.Importer](t, s)
	var keys []crypto.Signer // made before, so that nothing keeps the callers apart
	for range contenders {
		keys = append(keys, NewKey(t))
	}
	var next atomic.Int64
	s.checkOneWins(t, func(name string) (ssh.PublicKey, error) {
		key := keys[next.Add(1)%contenders]
		return publicKey(t, key), imp.Import(t.Context(), name, key)
	})
}

const (
	contenders = 16

	// A slow store shows a race in its first round, because its callers all look
	// before one of them writes. A fast store needs more rounds, and has time for
	// them. On a busy machine, where callers seldom run in parallel, minRounds
	// counts more than minTime.
	minRounds, maxRounds = 40, 500
	minTime, maxTime     = 500 * time.Millisecond, 4 * time.Second
)

// checkOneWins lets several goroutines make a key of the same name: many of them,
// and as many as run in parallel, in turns.
func (s *store) checkOneWins(t TB, create func(name string) (ssh.PublicKey, error)) {
	t.Helper()
	threads := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(threads)
	runtime.GOMAXPROCS(max(8, threads)) // the system interrupts threads anywhere, goroutines change at few places
	s.race(t, contenders, atOnce, create)
	before := s.files()
	start := time.Now()
	for round := 0; s.goesOn(round, time.Since(start)) && !t.Failed(); round++ {
		s.race(t, max(2, threads), inParallel, create)
		s.race(t, contenders, atOnce, create)
	}
	if now := s.files(); s.canDelete() && !slices.Equal(now, before) {
		t.Errorf("keys that were made at once and deleted left files behind: there were\n%q\nand there are\n%q", before, now)
	}
}

func (s *store) goesOn(round int, elapsed time.Duration) bool {
	if !s.canDelete() {
		return round < 10 // the keys stay in the store
	}
	return round < maxRounds && elapsed < maxTime && (round < minRounds || elapsed < minTime)
}

// race lets n goroutines make a key of the same new name. One of them must make
// it, the others must get ErrExists, and all must then open that key. One more
// goroutine opens the name all the time: the key must appear whole or not at all.
func (s *store) race(t TB, n int, run func(int, func(int)), create func(name string) (ssh.PublicKey, error)) {
	t.Helper()
	name := s.newName()
	if s.canDelete() {
		defer func() {
			if err := s.delete(t.Context(), name); err != nil {
				t.Errorf("Delete(%q): %v", name, err)
			}
		}()
	}
	created, opened := make([]string, n), make([]string, n)
	var making atomic.Int32
	making.Store(int32(n))
	run(n+1, func(i int) {
		if i == n {
			s.openWhile(t, name, func() bool { return making.Load() > 0 })
			return
		}
		defer making.Add(-1)
		pub, err := create(name)
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
	winners := slices.DeleteFunc(created, func(pub string) bool { return pub == "" })
	if len(winners) != 1 {
		t.Errorf("%d goroutines made the key, want 1", len(winners))
		return
	}
	for i, pub := range opened {
		if pub != winners[0] {
			t.Errorf("goroutine %d opened %s, want the key that was made, %s", i, pub, winners[0])
		}
	}
}

// openWhile opens a key that is being made.
func (s *store) openWhile(t TB, name string, making func() bool) {
	t.Helper()
	for making() {
		_, err := s.Backend.Open(t.Context(), name)
		if err != nil && !errors.Is(err, signer.ErrNotFound) {
			t.Errorf("Open of a key that is being made: got error %v, want none or ErrNotFound", err)
			return
		}
		runtime.Gosched()
	}
}
