package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/countersign/countersign/internal/printable"
)

// clientKey is where the context of a connection has its client.
type clientKey struct{}

// A client is the program at the other end of a connection.
type client struct {
	hosts []string // that its requests may name

	conn    net.Conn
	once    sync.Once
	address string // for the log
	err     error  // why it may not use the proxy, or nil
}

// errUnknownUser: the system does not tell the user of a connection.
var errUnknownUser = errors.New("the user of the connection is not known")

// check returns the reason why the client may not use the proxy, or nil. It looks for the
// user once for a connection, at the first request, so that other users who only connect
// cost no time. On a socket file of mode 0600, the system lets only this user connect.
func (c *client) check() error {
	c.once.Do(func() {
		c.address = c.conn.RemoteAddr().String()
		if c.address == "" || c.address == "@" {
			c.address = c.conn.LocalAddr().Network()
		}
		uid, err := userOf(c.conn)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
		case err != nil:
			c.err = err
		default:
			c.address = fmt.Sprintf("user %d, %s", uid, c.address)
			if uid != os.Getuid() {
				c.err = fmt.Errorf("user %d may not use the proxy of user %d", uid, os.Getuid())
			}
		}
	})
	return c.err
}

// name returns the name of the client for the log: its user, its address, and what it
// calls itself in the request r.
func (c *client) name(r *http.Request) string {
	_ = c.check()
	const longest = 100 // bytes
	agent := r.UserAgent()
	if agent == "" {
		return c.address
	}
	return c.address + ", " + printable.Text(agent[:min(len(agent), longest)])
}
