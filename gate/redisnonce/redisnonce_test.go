package redisnonce

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/internal/redistest"
	"github.com/countersign/countersign/gate/nonce"
)

func open(t *testing.T, s *redistest.Server) *Store {
	t.Helper()
	store, err := Open(s.URL, "", time.Minute, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func keyOf(n int) nonce.Key {
	return nonce.KeyOf("s", "k", string(binary.BigEndian.AppendUint64(nil, uint64(n))))
}

// later is a ts after every epoch of the test.
func later() time.Time { return time.Now().Add(time.Hour) }

// connections is the number of requests that a store serves at a time at least: go-redis
// opens ten connections for each processor, and more requests wait for one.
const connections = 10

func TestRule11_TwoReplicasTakeOnce(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	one, two := open(t, s), open(t, s)
	if err := errors.Join(one.Ready(t.Context()), two.Ready(t.Context())); err != nil {
		t.Fatal(err)
	}
	ts := later()
	var taken atomic.Int32
	var tasks sync.WaitGroup
	for i := range 2 * connections {
		store := one
		if i%2 == 1 {
			store = two
		}
		tasks.Go(func() {
			for range 50 {
				switch err := store.Take(t.Context(), keyOf(1), ts); {
				case err == nil:
					taken.Add(1)
				case !errors.Is(err, nonce.ErrUsed):
					t.Error(err)
				}
			}
		})
	}
	tasks.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken %d times", n)
	}
}

func TestRule11_KeptForTheWindows(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	store := open(t, s)
	if err := store.Take(t.Context(), keyOf(1), later()); err != nil {
		t.Fatal(err)
	}
	left, err := store.client.TTL(t.Context(), prefix+strings.ToLower(hexOf(keyOf(1)))).Result()
	if want := 150 * time.Second; err != nil || left > want || left < want-5*time.Second {
		t.Errorf("kept for %v, %v; want %v", left, err, want)
	}
}

func hexOf(k nonce.Key) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range k {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// However the memory is lost, a request that was accepted before is refused, and a
// later one is accepted.
func TestRule12_LostMemory(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *redistest.Server, *Store){
		"restart": func(_ *testing.T, s *redistest.Server, _ *Store) { s.Stop(); s.Start() },
		"flush": func(t *testing.T, _ *redistest.Server, store *Store) {
			if err := store.client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"restart with an old snapshot": func(t *testing.T, s *redistest.Server, store *Store) {
			s.Stop()
			s.Start()
			if n, err := store.client.Exists(t.Context(), prefix+"epoch").Result(); err != nil || n != 1 {
				t.Fatalf("the snapshot has no epoch: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.New(t)
			store := open(t, s)
			if err := store.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "snapshot") {
				if err := store.client.Save(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
			ts := epoch(t, store) // the first that is accepted
			if err := store.Take(t.Context(), keyOf(1), ts); err != nil {
				t.Fatal(err)
			}
			nextSecond(t, store)
			lose(t, s, store)
			if err := store.Take(t.Context(), keyOf(1), ts); !errors.Is(err, nonce.ErrEpoch) {
				t.Errorf("a used request: %v", err)
			}
			if err := store.Take(t.Context(), keyOf(2), time.Now().Add(slack+2*time.Second)); err != nil {
				t.Errorf("a later request: %v", err)
			}
			if err := store.Take(t.Context(), keyOf(1), ts); !errors.Is(err, nonce.ErrEpoch) {
				t.Errorf("a used request, once more: %v", err)
			}
		})
	}
}

// epoch returns the epoch of the server.
func epoch(t *testing.T, s *Store) time.Time {
	t.Helper()
	value, err := s.client.Get(t.Context(), prefix+"epoch").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(value, " ")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(seconds, 0)
}

// nextSecond waits until the clock of the server has a new second. A request that a gate
// accepted is older than that: its ts was not ahead of the clock, and not before the
// epoch, which began some seconds after the server.
func nextSecond(t *testing.T, s *Store) {
	t.Helper()
	for start := second(t, s); second(t, s) == start; {
	}
}

func second(t *testing.T, s *Store) int64 {
	t.Helper()
	now, err := s.client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return now.Unix()
}

func TestRule12_RedisIsDown(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	store := open(t, s)
	if err := store.Take(t.Context(), keyOf(1), later()); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := store.Take(ctx, keyOf(2), later()); !errors.Is(err, nonce.ErrUnavailable) {
		t.Errorf("Take: %v", err)
	}
	if err := store.Ready(ctx); !errors.Is(err, nonce.ErrUnavailable) {
		t.Errorf("Ready: %v", err)
	}
	s.Start()
	if err := store.Ready(ctx); err != nil {
		t.Errorf("Ready after the start: %v", err)
	}
}

func TestRule12_Eviction(t *testing.T) {
	t.Parallel()
	s := redistest.New(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	store := open(t, s)
	wantPolicy := func(policy string) {
		t.Helper()
		if err := store.Ready(t.Context()); !errors.Is(err, nonce.ErrUnavailable) || !strings.Contains(err.Error(), "maxmemory-policy "+policy+", and noeviction") {
			t.Errorf("Ready: %v", err)
		}
		if err := store.Take(t.Context(), keyOf(1), later()); !errors.Is(err, nonce.ErrUnavailable) {
			t.Errorf("Take: %v", err)
		}
	}
	wantPolicy("allkeys-lru")
	set := func(policy string) {
		t.Helper()
		if err := store.client.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("noeviction")
	if err := store.Take(t.Context(), keyOf(2), later()); err != nil {
		t.Error(err)
	}
	set("volatile-ttl") // acts at once, although the policy was right a moment ago
	wantPolicy("volatile-ttl")
}

// A full server forgets nothing and takes nothing.
func TestRule11_FullRedis(t *testing.T) {
	t.Parallel()
	s := redistest.New(t, "--maxmemory-policy", "noeviction")
	store := open(t, s)
	if err := store.Take(t.Context(), keyOf(1), later()); err != nil {
		t.Fatal(err)
	}
	if err := store.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := store.Take(t.Context(), keyOf(2), later()); !errors.Is(err, nonce.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := redistest.New(t, "--requirepass", "secret word")
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("secret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := Open(s.URL, path, time.Minute, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, s).Ready(t.Context()); !errors.Is(err, nonce.ErrUnavailable) || strings.Contains(err.Error(), "secret word") {
		t.Errorf("without the password: %v", err)
	}
}

func TestOpenMalformedURL(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1", "redis://127.0.0.1:6379/x", "redis://:secret@%zz"} {
		if store, err := Open(url, "", time.Minute, time.Second); err == nil || store != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", url, store, err)
		}
	}
}
