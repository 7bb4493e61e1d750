package redisnonce

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/nonce"
)

// A server is a real redis-server.
type server struct {
	t    *testing.T
	port string
	dir  string
	cmd  *exec.Cmd
}

func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is missing (Debian: redis-server)")
		}
		t.Skip("redis-server is missing (Debian: redis-server)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := &server{t: t, port: port, dir: t.TempDir()}
	s.start(args...)
	t.Cleanup(s.stop)
	return s
}

func (s *server) start(args ...string) {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log")}, args...)...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 500 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("redis-server does not start")
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *server) open(t *testing.T) *Store {
	t.Helper()
	store, err := Open("redis://127.0.0.1:"+s.port+"/0", "", time.Minute, 30*time.Second)
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

func TestRule11_TwoReplicasTakeOnce(t *testing.T) {
	s := newServer(t)
	one, two := s.open(t), s.open(t)
	if err := errors.Join(one.Ready(t.Context()), two.Ready(t.Context())); err != nil {
		t.Fatal(err)
	}
	ts := later()
	var taken atomic.Int32
	var tasks sync.WaitGroup
	for i := range 1000 {
		store := one
		if i%2 == 1 {
			store = two
		}
		tasks.Go(func() {
			switch err := store.Take(t.Context(), keyOf(1), ts); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, nonce.ErrUsed):
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken %d times", n)
	}
}

func TestRule11_KeptForTheWindows(t *testing.T) {
	s := newServer(t)
	store := s.open(t)
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
	for name, lose := range map[string]func(*testing.T, *server, *Store){
		"restart": func(_ *testing.T, s *server, _ *Store) { s.stop(); s.start() },
		"flush": func(t *testing.T, _ *server, store *Store) {
			if err := store.client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"restart with an old snapshot": func(t *testing.T, s *server, store *Store) {
			s.stop()
			s.start()
			if n, err := store.client.Exists(t.Context(), prefix+"epoch").Result(); err != nil || n != 1 {
				t.Fatalf("the snapshot has no epoch: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			store := s.open(t)
			if err := store.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "snapshot") {
				if err := store.client.Save(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(slack + time.Second) // the first epoch
			ts := time.Now()
			if err := store.Take(t.Context(), keyOf(1), ts); err != nil {
				t.Fatal(err)
			}
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

func TestRule12_RedisIsDown(t *testing.T) {
	s := newServer(t)
	store := s.open(t)
	if err := store.Take(t.Context(), keyOf(1), later()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := store.Take(ctx, keyOf(2), later()); !errors.Is(err, nonce.ErrUnavailable) {
		t.Errorf("Take: %v", err)
	}
	if err := store.Ready(ctx); !errors.Is(err, nonce.ErrUnavailable) {
		t.Errorf("Ready: %v", err)
	}
	s.start()
	if err := store.Ready(ctx); err != nil {
		t.Errorf("Ready after the start: %v", err)
	}
}

func TestRule12_Eviction(t *testing.T) {
	s := newServer(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	store := s.open(t)
	if err := store.Ready(t.Context()); !errors.Is(err, nonce.ErrUnavailable) || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("Ready: %v", err)
	}
	if err := store.Take(t.Context(), keyOf(1), later()); !errors.Is(err, nonce.ErrUnavailable) {
		t.Errorf("Take: %v", err)
	}
}

// A full server forgets nothing and takes nothing.
func TestRule11_FullRedis(t *testing.T) {
	s := newServer(t, "--maxmemory-policy", "noeviction")
	store := s.open(t)
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
	s := newServer(t, "--requirepass", "secret word")
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("secret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := Open("redis://127.0.0.1:"+s.port, path, time.Minute, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.open(t).Ready(t.Context()); !errors.Is(err, nonce.ErrUnavailable) || strings.Contains(err.Error(), "secret word") {
		t.Errorf("without the password: %v", err)
	}
}
