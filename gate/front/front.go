// Package front is the first handler of every request. It finds the site that the
// request is for and the address of the client, and refuses requests in forms that
// servers behind the gate might read in another way.
package front

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/reply"
)

// A Request is what the gate knows about a request before it looks at signatures.
type Request struct {
	// Site is the configured origin that the request is for.
	Site challenge.Origin

	// Origin is the same origin with the client's spelling of the host, such as
	// "https://reg:443". Clients sign it.
	Origin string

	// Path and RawQuery are the two parts of the request target, byte for byte. Path
	// starts with "/" and has no escapes, dot segments, empty segments and semicolons.
	Path, RawQuery string

	// Address is the address of the client, or the zero Addr if a proxy did not tell.
	Address netip.Addr
}

// Target returns the request target.
func (r Request) Target() string {
	if r.RawQuery == "" {
		return r.Path
	}
	return r.Path + "?" + r.RawQuery
}

type contextKey struct{}

// Of returns the Request that the context of a request has.
func Of(ctx context.Context) Request {
	r, _ := ctx.Value(contextKey{}).(Request)
	return r
}

// With returns a context that has r.
func With(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// A Handler calls the handler of a request's site. The zero value knows no site and
// trusts no proxy.
type Handler struct {
	// Sites has the handler of each public origin.
	Sites map[challenge.Origin]http.Handler

	// TrustedProxies may connect without TLS and are believed to tell the address of
	// the client in X-Forwarded-For.
	TrustedProxies []netip.Prefix
}

// ServeHTTP implements [http.Handler]. The context of the request that it passes on
// has a [Request].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != http.NoBody {
		// The server reads the rest of a body before it sends a refusal.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // a w without it has no connection
	}
	if mistake := formMistake(r); mistake != "" {
		reply.Error(w, http.StatusBadRequest, reply.Unsupported, mistake)
		return
	}
	path, rawQuery, _ := strings.Cut(r.RequestURI, "?")
	if !isPlain(path) {
		reply.Error(w, http.StatusNotFound, reply.Unsupported, "no resource has this path")
		return
	}
	remote := remoteAddress(r)
	if r.TLS == nil && !remote.IsLoopback() && !h.trusts(remote) {
		reply.Error(w, http.StatusForbidden, reply.Denied, "this connection has no TLS, and does not come from a trusted proxy")
		return
	}
	site, origin, ok := h.siteOf(r.Host)
	if !ok {
		reply.Error(w, http.StatusMisdirectedRequest, reply.Unsupported, "no site here has this host name and port")
		return
	}
	request := Request{Site: site, Origin: origin, Path: path, RawQuery: rawQuery, Address: h.clientAddress(r, remote)}
	trim(r.Header["Authorization"])
	h.Sites[site].ServeHTTP(w, r.WithContext(With(r.Context(), request)))
}

// trim removes the white space around the values of a field, which is no part of them
// (RFC 9110, section 5.5). HTTP/1.1 removes it, and HTTP/2 does not: oras sends a space.
func trim(values []string) {
	for i, value := range values {
		values[i] = strings.Trim(value, " \t")
	}
}

// bodyTimeout is the time in which the body of a request must arrive until the request
// is admitted, so that nobody without a key can keep connections open with bodies that
// never end.
const bodyTimeout = 10 * time.Second

// AdmitBody lets the body of an admitted request arrive at any speed.
func AdmitBody(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a w without it has no connection
}

// formMistake returns why a request is refused for its form, or "".
func formMistake(r *http.Request) string {
	switch {
	case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		return "the method " + r.Method + " is not allowed here"
	case !strings.HasPrefix(r.RequestURI, "/"):
		return "the request target must be a path"
	case r.Header.Get("Upgrade") != "", r.Header.Get("HTTP2-Settings") != "", hasToken(r.Header, "Connection", "upgrade"):
		return "the connection cannot change its protocol here"
	}
	return ""
}

func hasToken(h http.Header, field, token string) bool {
	for _, value := range h.Values(field) {
		for t := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// isPlain reports whether every server reads path in the same way.
func isPlain(path string) bool {
	if strings.ContainsAny(path, "%;\\#") || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return false
	}
	segments := strings.Split(path[1:], "/")
	return !slices.ContainsFunc(segments[:len(segments)-1], func(s string) bool { return s == "" }) &&
		!slices.ContainsFunc(segments, func(s string) bool { return s == "." || s == ".." })
}

// siteOf returns the site that a Host field names, and its origin with that spelling.
func (h *Handler) siteOf(host string) (site challenge.Origin, origin string, ok bool) {
	if strings.ContainsAny(host, "/\\") {
		return challenge.Origin{}, "", false
	}
	for site := range h.Sites {
		u := site.URL()
		origin := u.Scheme + "://" + host
		if host == u.Host {
			return site, origin, true
		}
		if o, err := challenge.ParseOrigin(origin); err == nil && o == site {
			return site, origin, true
		}
	}
	return challenge.Origin{}, "", false
}

func (h *Handler) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(h.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// remoteAddress returns the address of the connection.
func remoteAddress(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// clientAddress returns the address of the client. Each proxy adds to X-Forwarded-For
// the address of its own client, so the list is believed from its end up to the first
// address that is not that of a trusted proxy.
func (h *Handler) clientAddress(r *http.Request, remote netip.Addr) netip.Addr {
	if !h.trusts(remote) {
		return remote
	}
	list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(list) {
		address, err := parseForwarded(strings.TrimSpace(text))
		if err != nil {
			return netip.Addr{}
		}
		if !h.trusts(address) {
			return address
		}
	}
	return netip.Addr{}
}

// parseForwarded reads an address, with a port as some proxies write it.
func parseForwarded(text string) (netip.Addr, error) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap().WithZone(""), err
}
