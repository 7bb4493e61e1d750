package busprobe

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/internal/secretservice"
)

// listen answers each line of one client with the next answer, and says nothing
// once there is none.
func listen(t *testing.T, answers ...string) (address string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for _, answer := range answers {
			in.ReadString('\n')
			conn.Write([]byte(answer))
		}
		io.Copy(io.Discard, in)
	}()
	return "unix:path=" + socket
}

func TestProbe(t *testing.T) {
	tests := []struct {
		name    string
		address string
		is      error
		text    string
	}{
		{"silent", listen(t), os.ErrDeadlineExceeded, ""},
		{"silent after the greeting", listen(t, "OK 1234\r\n"), os.ErrDeadlineExceeded, ""},
		{"refuses", listen(t, "REJECTED EXTERNAL\r\n"), nil, "the bus refuses user"},
		{"absent", "unix:path=" + filepath.Join(t.TempDir(), "bus"), syscall.ENOENT, ""},
		{"absent abstract", "unix:abstract=countersign-test-absent", syscall.ECONNREFUSED, ""},
		{"another transport", "tcp:host=127.0.0.1,port=1", nil, "only unix:path="},
		{"disabled", disabled, nil, "only unix:path="},
		{"nonsense", "unix", nil, "only unix:path="},
	}
	for _, tt := range tests {
		err := probe(tt.address)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: got error %v, want %v %q", tt.name, err, tt.is, tt.text)
		}
	}
}

// TestFind needs a real bus: the greeting is made by hand.
func TestFind(t *testing.T) {
	s := secretservice.StartBus(t)
	dead, real := "unix:path="+filepath.Join(t.TempDir(), "bus"), s.Address()
	for _, addresses := range []string{real, dead + ";" + real, real + ";" + dead} {
		if got := find(addresses); got.Address != real || got.Err != nil {
			t.Errorf("find(%q) = %+v, want %s", addresses, got, real)
		}
	}

	t.Setenv("XDG_RUNTIME_DIR", s.Dir()) // where the bus listens on "bus"
	for _, addresses := range []string{"", "autolaunch:"} {
		if got := find(addresses); got.Address != "unix:path="+filepath.Join(s.Dir(), "bus") {
			t.Errorf("find(%q) = %+v, want the bus of the user", addresses, got)
		}
	}

	got := find(dead + ";" + "tcp:host=h")
	if !errors.Is(got.Err, syscall.ENOENT) || !strings.Contains(got.Err.Error(), "tcp:host=h: only") {
		t.Errorf("find does not give each reason: %v", got.Err)
	}
}

// TestRestore is about this test's own process, which had its bus probed when it
// started.
func TestRestore(t *testing.T) {
	const child = "BUSPROBE_CHILD"
	if os.Getenv(child) != "" {
		during := os.Getenv(variable)
		Restore()
		value, isSet := os.LookupEnv(variable)
		os.Stdout.WriteString(during + "," + value + ",")
		if isSet {
			os.Stdout.WriteString("set")
		}
		os.Stdout.WriteString("\n")
		os.Exit(0)
	}
	dir := t.TempDir()
	for _, tt := range []struct{ env, want string }{
		{"OTHER=", "disabled:,,"},
		{variable + "=", "disabled:,,set"},
		{variable + "=unix:path=" + dir + "/bus", "disabled:,unix:path=" + dir + "/bus,set"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestore$")
		cmd.Env = []string{child + "=1", "XDG_RUNTIME_DIR=" + dir, tt.env}
		out, err := cmd.Output()
		if err != nil || strings.TrimSpace(string(out)) != tt.want {
			t.Errorf("with %s: %s, %v, want %s", tt.env, out, err, tt.want)
		}
	}
}
