//go:build !linux

package proxy

import (
	"errors"
	"net"
)

// KnowsUsers reports whether this system tells the user of a TCP connection from this
// machine. Where it does not, set [Proxy.Token].
const KnowsUsers = false

// userOf is not supported: a socket file is protected by its mode, and a TCP port by
// Proxy.Token.
func userOf(net.Conn) (int, error) { return 0, errors.ErrUnsupported }
