package clients

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/internal/leftovers"
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
const size = 64 << 20

// TestKilled kills a client, the connection to the server and the proxy in the middle of
// a push and of a pull. The proxy closes what it opened, and serves on; in the gate, no
// request is left.
func TestKilled(t *testing.T) {
	r := newRelay(t)
	g, m := startGate(t, gatetest.Options{Grants: allGrants, Origin: "http://" + r.Addr().String()}), newMachine(t)
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
			at := "http://" + p.host + "/v2/users/alice/a/"
			m.want("", "curl", "-sSfI", at+"blobs/"+digest)
			before, files := leftovers.Now(), p.openFiles(t)

			pull := m.command("curl", "-sS", at+"blobs/"+digest)
			output, err := pull.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			begin(t, pull)
			if _, err := io.ReadFull(output, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			to := m.want("", "bash", "-c", "curl -sSf -X POST -D - -o /dev/null "+at+`blobs/uploads/ | tr -d "\r" | sed -n "s/^[Ll]ocation: //p"`)
			push := m.command("curl", "-sS", "-X", "PATCH", "-T", "-", strings.TrimSpace(to))
			input, err := push.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			begin(t, push)
			if _, err := input.Write(make([]byte, 10_000_000)); err != nil { // it is under way when most of it is read
				t.Fatal(err)
			}

			switch who {
			case "client":
				pull.Process.Kill()
				push.Process.Kill()
			case "connection":
				r.kill()
			case "proxy":
				_ = p.end(os.Kill)
			}
			output.Close()
			input.Close()
			if pull.Wait() == nil {
				t.Error("the pull succeeded")
			}
			if err := push.Wait(); err == nil && who != "connection" { // curl shows the 502 of the proxy
				t.Error("the push succeeded")
			}
			if who == "proxy" {
				before.Check(t)
				return
			}
			p.awaitFiles(t, files)
			m.want("", "curl", "-sSfI", at+"blobs/"+digest)
			_ = p.end(os.Kill)
			before.Check(t)
		})
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

// awaitFiles waits until the proxy has closed all files but want.
func (p runningProxy) awaitFiles(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); p.openFiles(t) > want; {
		if time.Now().After(deadline) {
			t.Fatalf("the proxy has %d open files, before %d", p.openFiles(t), want)
		}
	}
}

func begin(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
}
