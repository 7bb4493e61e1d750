// Package limit bounds how often each client may ask.
package limit

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// maxClients is the number of clients whose rates are remembered exactly. Beyond it,
// the clients that were seen longest ago begin anew.
const maxClients = 1 << 16

// burst is the number of seconds whose requests a client may send at once.
const burst = 4

// A Limiter allows each client a number of requests per second, and bursts of four
// times as many. It is safe for concurrent use.
type Limiter[K comparable] struct {
	perSecond int

	mu         sync.Mutex
	young, old map[K]*rate.Limiter
}

// New returns a Limiter that allows perSecond requests to each client.
func New[K comparable](perSecond int) *Limiter[K] {
	return &Limiter[K]{perSecond: perSecond, young: map[K]*rate.Limiter{}}
}

// Allow reports whether the client may send a request now, and counts the request.
func (l *Limiter[K]) Allow(client K) bool { return l.of(client).Allow() }

func (l *Limiter[K]) of(client K) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.young[client]; r != nil {
		return r
	}
	r := l.old[client]
	if r == nil {
		r = rate.NewLimiter(rate.Limit(l.perSecond), burst*l.perSecond)
	}
	if len(l.young) >= maxClients/2 {
		l.old, l.young = l.young, map[K]*rate.Limiter{}
	}
	l.young[client] = r
	return r
}

// Network returns the part of an address that one client has: an IPv4 address, or the
// first 64 bits of an IPv6 address.
func Network(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	p, _ := address.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}
