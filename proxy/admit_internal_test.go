package proxy

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHosts has the default port, which clients leave out.
func TestHosts(t *testing.T) {
	for address, want := range map[string][]string{
		"127.0.0.1:5115": {"127.0.0.1:5115", "localhost:5115"},
		"127.0.0.1:80":   {"127.0.0.1", "localhost", "127.0.0.1:80", "localhost:80"},
		"[::1]:80":       {"[::1]", "localhost", "[::1]:80", "localhost:80"},
		"[::1]:443":      {"[::1]:443", "localhost:443"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hostsOf(addr)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", address, err, diff)
		}
	}
}
