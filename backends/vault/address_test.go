package vault

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/countersign/countersign/signer"
)

// A resolver that sends "localhost" to another machine gets no connection.
func TestPlainHTTPStaysOnThisMachine(t *testing.T) {
	u, err := parseAddress("http://localhost:8200")
	if err != nil {
		t.Fatal(err)
	}
	transport, err := newTransport(u, "")
	if err != nil {
		t.Fatal(err)
	}
	if transport.Proxy != nil {
		t.Error("a proxy would get the token")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, address := range []string{"192.0.2.1:8200", "[2001:db8::1]:8200", "0.0.0.0:8200"} {
		if err := refuseOtherMachines(ended, "tcp", address, nil); !errors.Is(err, signer.ErrInsecure) {
			t.Errorf("%s: got %v, want %v", address, err, signer.ErrInsecure)
		}
	}
	_, err = transport.DialContext(t.Context(), "tcp", "192.0.2.1:8200")
	if !errors.Is(err, signer.ErrInsecure) {
		t.Errorf("DialContext of another machine: got %v, want %v", err, signer.ErrInsecure)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := transport.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
