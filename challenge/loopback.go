package challenge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// A loopback sends plain http to "localhost", and to names under it, to this machine.
// These names should never leave the machine (RFC 6761, section 6.3), but many
// resolvers ask the DNS for them, and then the DNS chooses the machine that gets
// tokens and signatures in clear. The zero value is ready for use, by several
// goroutines at once.
type loopback struct {
	// own is a copy of http.DefaultTransport that this package made, or nil.
	own *http.Transport

	mu     sync.Mutex
	base   *http.Transport
	direct *http.Transport // base, but it connects to loopback addresses only
}

// route returns the transport for requests to o, which is base for almost all
// origins. The error is ErrRealm if o is to be this machine and base may reach another
// machine, under the name or through a proxy: then no token and no signature may be in
// the request.
func (l *loopback) route(base http.RoundTripper, o Origin) (http.RoundTripper, error) {
	if chooser, ok := base.(interface {
		TransportFor(o Origin) http.RoundTripper
	}); ok {
		base = chooser.TransportFor(o)
	}
	if o.scheme != "http" {
		return base, nil
	}
	t, ok := base.(*http.Transport)
	if !o.isLocalName() {
		if ok && o.isLoopback() {
			return base, checkProxy(t, o)
		}
		return base, nil
	}
	if !ok || base != http.DefaultTransport && t != l.own && connectsItself(t) {
		return base, refuseLocalName(o, "a transport of the program's own")
	}
	if proxy, err := proxyOf(t, o); proxy != nil || err != nil {
		return base, refuseLocalName(o, "a proxy")
	}
	return l.directly(t), nil
}

// checkProxy returns ErrRealm if t sends requests to o, a loopback address, through a
// proxy on another machine, where the address is that of the other machine.
func checkProxy(t *http.Transport, o Origin) error {
	proxy, err := proxyOf(t, o)
	if proxy == nil || err != nil {
		return nil // without a proxy there is no request
	}
	if via, err := OriginOf(&url.URL{Scheme: "http", Host: proxy.Host}); err == nil && via.isLoopback() {
		return nil
	}
	return fmt.Errorf("%w: plain http to %s through a proxy on another machine, where this is the address of that machine: use no proxy for it", ErrRealm, o)
}

// proxyOf returns the proxy of t for requests to o, or nil.
func proxyOf(t *http.Transport, o Origin) (*url.URL, error) {
	if t.Proxy == nil {
		return nil, nil
	}
	return t.Proxy(&http.Request{Method: http.MethodGet, URL: o.URL(), Header: http.Header{}})
}

// connectsItself reports whether the program has put its own code for connections into t.
func connectsItself(t *http.Transport) bool {
	//lint:ignore SA1019 programs still set the deprecated Dial
	return t.DialContext != nil || t.Dial != nil
}

func refuseLocalName(o Origin, via string) error {
	address := Origin{o.scheme, "127.0.0.1", o.port}
	return fmt.Errorf("%w: plain http to %s through %s, where the name may be that of another machine: use https or %s", ErrRealm, o, via, address)
}

// directly returns a copy of t that connects to loopback addresses, and keeps it for
// the next call.
func (l *loopback) directly(t *http.Transport) *http.Transport {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.base != t {
		if l.direct != nil {
			l.direct.CloseIdleConnections()
		}
		l.base, l.direct = t, t.Clone()
		l.direct.Proxy = nil
		l.direct.DialContext = dialLoopback(t.DialContext)
	}
	return l.direct
}

func (l *loopback) closeIdleConnections() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.direct != nil {
		l.direct.CloseIdleConnections()
	}
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialLoopback returns a dialFunc that looks no name up: it tries the port at both
// addresses of this machine.
func dialLoopback(dial dialFunc) dialFunc {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		var errs []error
		for _, ip := range []string{"127.0.0.1", "::1"} {
			conn, err := dial(ctx, network, net.JoinHostPort(ip, port))
			if err == nil {
				return conn, nil
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	}
}

// isLocalName reports whether the host of o is "localhost" or a name under it, with
// or without a final dot.
func (o Origin) isLocalName() bool {
	host := strings.TrimSuffix(o.host, ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
