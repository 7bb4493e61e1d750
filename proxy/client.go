package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// clientKey is where the context of a connection has its client.
type clientKey struct{}

// A client is the program at the other end of a connection.
type client struct {
	name  string   // for the log
	hosts []string // that its requests may name
	err   error    // why it may not use the proxy, or nil
}

// errUnknownUser: the system does not tell the user of a connection.
var errUnknownUser = errors.New("the user of the connection is not known")

// newClient finds out who is at the other end of conn. On a socket file of mode 0600,
// the system lets only this user connect.
func newClient(conn net.Conn, hosts []string) client {
	c := client{name: conn.RemoteAddr().String(), hosts: hosts}
	if c.name == "" || c.name == "@" {
		c.name = conn.LocalAddr().Network()
	}
	uid, err := userOf(conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		c.err = err
	case uid != os.Getuid():
		c.err = fmt.Errorf("user %d may not use the proxy of user %d", uid, os.Getuid())
	default:
		c.name = fmt.Sprintf("user %d, %s", uid, c.name)
	}
	return c
}
