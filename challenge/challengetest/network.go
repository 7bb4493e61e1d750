package challengetest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
)

// A network connects a registry and its client.
type network interface {
	Listen() (net.Listener, error)
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

type loopback struct{}

func (loopback) Listen() (net.Listener, error) { return net.Listen("tcp", mainHost+":0") }

func (loopback) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, loopbackAddr(addr))
}

const (
	mainHost  = "127.0.0.1"
	otherHost = "localhost" // another name of the same address
)

// cdnHost returns the host of the CDN at addr.
func cdnHost(addr string) string { return otherHost + strings.TrimPrefix(addr, mainHost) }

// loopbackAddr replaces the CDN's name by its address, so that a machine needs no
// entry for it in /etc/hosts.
func loopbackAddr(addr string) string {
	if port, ok := strings.CutPrefix(addr, otherHost+":"); ok {
		return net.JoinHostPort(mainHost, port)
	}
	return addr
}

// memory connects through net.Pipe. In a bubble of testing/synctest, a read from a
// pipe counts as waiting; a read from a socket does not.
type memory struct{ listeners []*pipeListener }

// Listen names the listeners 127.0.0.1:1, 127.0.0.1:2 and so on. Plain http is
// allowed on loopback, and no other server listens on these ports.
func (m *memory) Listen() (net.Listener, error) {
	l := &pipeListener{
		addr:   &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: len(m.listeners) + 1},
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
	}
	m.listeners = append(m.listeners, l)
	return l, nil
}

func (m *memory) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	for _, l := range m.listeners {
		if l.addr.String() == loopbackAddr(addr) {
			return l.dial(ctx)
		}
	}
	return nil, fmt.Errorf("dial %s: no such host in memory", addr)
}

type pipeListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, fmt.Errorf("dial %s: connection refused", l.addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return l.addr }
