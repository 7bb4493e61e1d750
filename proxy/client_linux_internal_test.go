package proxy

import (
	"errors"
	"net"
	"testing"
)

// TestUserOfClosedConnection wants no user for a connection that its client has closed: the
// kernel's list names root then, and another user would pass for root.
func TestUserOfClosedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := userOf(conn); err != nil {
		t.Errorf("while it is open: %v", err)
	}
	client.Close()
	if uid, err := userOf(conn); !errors.Is(err, errUnknownUser) {
		t.Errorf("after it was closed: user %d, %v, want %v", uid, err, errUnknownUser)
	}
}
