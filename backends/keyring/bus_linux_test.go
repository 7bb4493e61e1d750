package keyring

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/signer"
)

func TestDialError(t *testing.T) {
	connect := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", errno)}
	}
	tests := []struct {
		name string
		errs []error
		want error
	}{
		{"no socket", []error{connect(syscall.ENOENT)}, signer.ErrUnavailable},
		{"nobody listens", []error{connect(syscall.ECONNREFUSED)}, signer.ErrUnavailable},
		{"not an address", []error{errors.New("dbus: invalid bus address (no transport)")}, signer.ErrUnavailable},
		{"another user's folder", []error{connect(syscall.EACCES)}, signer.ErrDenied},
		{"one of several refuses", []error{connect(syscall.EACCES), connect(syscall.ENOENT)}, signer.ErrDenied},
		{"too many connections", []error{connect(syscall.EAGAIN)}, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		err := dialError(SecretService, tt.errs...)
		for _, kind := range []error{signer.ErrUnavailable, signer.ErrDenied, context.DeadlineExceeded} {
			if errors.Is(err, kind) != (kind == tt.want) {
				t.Errorf("%s: got error %v, want %v alone", tt.name, err, tt.want)
			}
		}
	}
}

// fakeBus listens on a socket and answers each line of a client with the next
// answer. Then it closes the connection.
func fakeBus(t *testing.T, answers ...string) (address string) {
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
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			for _, answer := range answers {
				in.ReadString('\n')
				conn.Write([]byte(answer))
			}
			conn.Close()
		}
	}()
	return "unix:path=" + socket
}

// A bus that refuses a user may have the key: the search ends.
func TestRefusingBus(t *testing.T) {
	for name, address := range map[string]string{
		"closes the connection":            fakeBus(t),
		"rejects each mechanism":           fakeBus(t, "REJECTED EXTERNAL\r\n", "REJECTED EXTERNAL\r\n"),
		"closes it after the greeting":     fakeBus(t, "REJECTED EXTERNAL\r\n", "OK 1234\r\n", "ERROR\r\n"),
		"is the first of several":          fakeBus(t) + ";unix:path=/nonexistent",
		"is the second and the first gone": "unix:path=/nonexistent;" + fakeBus(t),
	} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		_, err := (&Backend{Stores: []Store{SecretService}}).Open(t.Context(), "key")
		if !errors.Is(err, signer.ErrDenied) || errors.Is(err, signer.ErrUnavailable) || !strings.Contains(err.Error(), "refuses user") {
			t.Errorf("a bus that %s: got error %v, want ErrDenied", name, err)
		}
	}
}

func TestBusAddresses(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "bus")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	for _, variable := range []string{"", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", variable)
		if got, err := busAddresses(); err == nil || !strings.Contains(err.Error(), socket) {
			t.Errorf("without a socket: got %q, %v, want an error that names it", got, err)
		}
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := busAddresses(); err != nil || len(got) != 1 || got[0] != "unix:path="+socket {
		t.Errorf("with a socket: got %q, %v", got, err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/a;unix:path=/b;")
	if got, err := busAddresses(); err != nil || strings.Join(got, " ") != "unix:path=/a unix:path=/b" {
		t.Errorf("two addresses: got %q, %v", got, err)
	}
}
