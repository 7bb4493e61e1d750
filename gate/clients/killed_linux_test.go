package clients

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// A relay passes connections on to an address, and can kill them.
type relay struct {
	net.Listener
	to string

	mu    sync.Mutex
	conns []net.Conn
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &relay{Listener: l}
}

func (r *relay) serve(to string) {
	r.to = to
	for {
		client, err := r.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.to)
		if err != nil {
			client.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, client, server)
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			go func() {
				io.Copy(pair[0], pair[1])
				pair[0].Close()
				pair[1].Close()
			}()
		}
	}
}

// kill closes all connections.
func (r *relay) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// size is the size of a blob that does not fit into the buffers on its way.
const size = 24 << 20

// TestKilled kills a client, the connection to the server and the proxy in the middle of
// a push and of a pull. The proxy closes what it opened, and serves on; in the gate, no
// request is left.
func TestKilled(t *testing.T) {
	r := newRelay(t)
	var running atomic.Int64 // requests in the registry
	count := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			next.ServeHTTP(w, r)
		})
	}
	g, m := startGate(t, gatetest.Options{Grants: allGrants, Origin: "http://" + r.Addr().String()}, count), newMachine(t)
	m.enrol(g)
	go r.serve(strings.TrimPrefix(g.URL, "http://"))
	digest := strings.TrimSpace(m.want("", "bash", "-c", fmt.Sprintf(`set -eu
		head -c %d /dev/zero >blob
		digest=sha256:$(sha256sum blob | cut -d" " -f1)
		countersign --quiet proxy --to %s --allow push --env AT -- sh -c '
			to=$(curl -sSf -X POST -D - -o /dev/null $AT/v2/users/alice/a/blobs/uploads/ | tr -d "\r" | sed -n "s/^[Ll]ocation: //p")
			curl -sSf -T blob "$to&digest='$digest'"'
		echo $digest`, size, g.Origin)))
	for _, who := range []string{"client", "connection", "proxy"} {
		t.Run(who, func(t *testing.T) {
			m := m.with(t)
			p := m.startProxy(g, "--allow", "push")
			at := "http://" + p.host + "/v2/users/alice/a/blobs/"
			m.want("", "curl", "-sSfI", at+digest)
			files := p.openFiles(t)
			for range killings {
				transfer := beginTransfer(m, at, digest)
				switch who {
				case "client":
					transfer.kill()
				case "connection":
					r.kill()
				case "proxy":
					_ = p.end(os.Kill)
				}
				transfer.end()
				await(t, "no request in the registry", func() bool { return running.Load() == 0 })
				if who == "proxy" {
					return
				}
			}
			await(t, "as many open files as before", func() bool { return p.openFiles(t) <= files+idle })
			m.want("", "curl", "-sSfI", at+digest)
		})
	}
}

const (
	killings = 4 // of a push and a pull each
	idle     = 2 // connections that the proxy may keep for later requests
)

// A transfer is a pull and a push that are under way.
type transfer struct {
	t          *testing.T
	pull, push *exec.Cmd
	output     io.ReadCloser
	input      io.WriteCloser
}

// beginTransfer begins to pull and to push. Neither ends, because the test stops to read
// and to write.
func beginTransfer(m *machine, at, digest string) *transfer {
	m.t.Helper()
	to := m.want("", "bash", "-c", "curl -sSf -X POST -D - -o /dev/null "+at+`uploads/ | tr -d "\r" | sed -n "s/^[Ll]ocation: //p"`)
	tr := &transfer{t: m.t, pull: m.command("curl", "-sS", at+digest), push: m.command("curl", "-sS", "-X", "PATCH", "-T", "-", strings.TrimSpace(to))}
	var err, err2 error
	tr.output, err = tr.pull.StdoutPipe()
	tr.input, err2 = tr.push.StdinPipe()
	if err := errors.Join(err, err2, tr.pull.Start(), tr.push.Start()); err != nil {
		m.t.Fatal(err)
	}
	if _, err := io.ReadFull(tr.output, make([]byte, 1000)); err != nil {
		m.t.Fatal(err)
	}
	if _, err := tr.input.Write(make([]byte, 5_000_000)); err != nil { // curl has read most of it then
		m.t.Fatal(err)
	}
	return tr
}

func (tr *transfer) kill() {
	_, _ = tr.pull.Process.Kill(), tr.push.Process.Kill()
}

// end waits for the clients, and wants the pull to fail. After a killed connection, the
// pushing curl shows the reply of the proxy and succeeds.
func (tr *transfer) end() {
	tr.t.Helper()
	tr.output.Close()
	tr.input.Close()
	if err := tr.pull.Wait(); err == nil {
		tr.t.Error("the pull succeeded")
	}
	_ = tr.push.Wait()
}

// await waits until the state that is wanted is there.
func await(t *testing.T, want string, isThere func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !isThere(); {
		if time.Now().After(deadline) {
			t.Fatalf("want %s", want)
		}
		runtime.Gosched()
	}
}

// openFiles returns the number of open files of the proxy.
func (p runningProxy) openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(p.pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
