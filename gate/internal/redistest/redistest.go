// Package redistest starts a real redis-server for a test.
package redistest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// startTimeout bounds a start on a busy machine.
const startTimeout = time.Minute

// A Server is a redis-server on loopback. It keeps its port when it starts again.
type Server struct {
	// URL is that of its first database.
	URL string

	t    testing.TB
	port string
	dir  string
	cmd  *exec.Cmd
}

// New starts a server, which ends with the test. Without redis-server the test is
// skipped, and under CI it fails.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	logging.Disable() // of the clients: tests stop the server on purpose
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is missing (Debian: redis-server)")
		}
		t.Skip("SKIPPED: redis-server is missing (Debian: redis-server)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := &Server{URL: "redis://127.0.0.1:" + port + "/0", t: t, port: port, dir: t.TempDir()}
	s.Start(args...)
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server again after Stop, with more arguments. It loads the snapshot
// of its folder if there is one.
func (s *Server) Start(args ...string) {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log")}, args...)...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for until := time.Now().Add(startTimeout); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			conn.Close()
			return
		}
	}
	s.t.Fatal("redis-server does not start")
}

// Stop kills the server, so that it writes no snapshot.
func (s *Server) Stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// Client returns a client of the server, which is closed with the test.
func (s *Server) Client() *redis.Client {
	s.t.Helper()
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(o)
	s.t.Cleanup(func() { c.Close() })
	return c
}
