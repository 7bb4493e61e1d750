// Package forward passes requests on to the servers behind the gate.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/reply"
)

// The fields that tell a server behind the gate who sent the request.
const (
	UserField = "X-Countersign-User" // the name of the key's owner
	KeyField  = "X-Countersign-Key"  // the fingerprint of the key
)

// ErrEnded is in the cause of a request's context after the gate ended the request,
// because its key was removed.
var ErrEnded = errors.New("the gate ended this request")

// A Proxy passes requests on to one server and streams in both directions without
// delay. Its zero value has no server.
type Proxy struct {
	// Upstream is the server: a scheme and a host.
	Upstream *url.URL

	// Transport connects to it. Use [NewTransport].
	Transport http.RoundTripper

	// Prepare may change the request for the server. The request has the path and the
	// query that the client sent, the server's own Host, no Authorization, and nothing
	// by which the client could claim to be somebody else. It may be nil.
	Prepare func(in, out *http.Request)

	// ModifyResponse may change the reply, as that of httputil.ReverseProxy. It may be
	// nil.
	ModifyResponse func(*http.Response) error

	// Failed is called when the server does not answer. It may be nil.
	Failed func(r *http.Request, err error)

	// Silent means that the replies of the proxy itself have no body.
	Silent bool
}

// Handler returns the handler of p.
func (p *Proxy) Handler() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      p.Transport,
		FlushInterval:  -1,
		BufferPool:     new(buffers),
		ModifyResponse: p.ModifyResponse,
		ErrorHandler:   p.fail,
		ErrorLog:       log.New(io.Discard, "", 0), // Failed tells the errors
	}
}

// bufferSize is the size of a part of a reply that is passed on at once, in bytes. It is
// that of io.Copy.
const bufferSize = 32 << 10

// buffers keeps the memory for replies that ended for the next ones.
type buffers struct{ pool sync.Pool }

// Get implements [httputil.BufferPool].
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put implements [httputil.BufferPool].
func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }

// NewTransport returns a transport to servers behind the gate: without the proxies of
// the environment, and without a limit on the time until a reply, because a model may
// load for minutes.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true,
	}
}

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	request := front.Of(r.In.Context())
	r.Out.URL = &url.URL{Scheme: p.Upstream.Scheme, Host: p.Upstream.Host, Path: request.Path, RawQuery: request.RawQuery}
	r.Out.Host = p.Upstream.Host // Ollama answers 403 to a foreign one
	Clean(r.Out.Header)
	r.Out.Trailer = nil
	r.Out.Header.Del("Authorization")
	if p.Prepare != nil {
		p.Prepare(r.In, r.Out)
	}
}

// Clean removes the fields by which a client could claim an identity or an address,
// and cookies. A server may read an underscore in a name as a hyphen, so such names
// count as well.
func Clean(h http.Header) {
	for name := range h {
		n := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		switch {
		case strings.HasPrefix(n, "x-forwarded-"), strings.HasPrefix(n, "x-countersign-"), strings.HasPrefix(n, "x-auth-"), strings.HasPrefix(n, "x-remote-"),
			n == "forwarded", n == "cookie", n == "x-real-ip", n == "remote-user", n == "via", n == "trailer", n == "te", n == "proxy-authorization":
			delete(h, name)
		}
	}
}

func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		reply.Error(w, http.StatusRequestEntityTooLarge, reply.Unsupported, fmt.Sprintf("the request has more than %d bytes", large.Limit))
		return
	}
	if cause := context.Cause(r.Context()); errors.Is(cause, ErrEnded) {
		p.refuse(w, http.StatusUnauthorized, reply.Unauthorized, cause.Error())
		return
	}
	if p.Failed != nil {
		p.Failed(r, err)
	}
	if r.Context().Err() != nil {
		return // the client is gone
	}
	p.refuse(w, http.StatusBadGateway, reply.Unavailable, "the server behind this gate does not answer")
}

func (p *Proxy) refuse(w http.ResponseWriter, status int, code, message string) {
	if p.Silent {
		w.WriteHeader(status)
		return
	}
	reply.Error(w, status, code, message)
}
