package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/countersign/countersign/challenge"
)

// rewriteResponse makes the reply of the server one of the proxy.
func (p *Proxy) rewriteResponse(resp *http.Response) error {
	client := clientRequestOf(resp.Request)
	switch {
	case p.realms.has(endpoint(client.URL.Path)): // another request may have taught it meanwhile
		return errTokenEndpoint
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return errors.New("the server changes to another protocol, and no request asks for that")
	}
	cleanFields(resp.Header)
	p.protect(resp.Header, client)
	if resp.StatusCode == http.StatusUnauthorized { // clients would look for a password
		resp.StatusCode, resp.Status = http.StatusForbidden, ""
	}
	if location, err := resp.Location(); err == nil {
		resp.Header.Set("Location", p.localURL(location, client.Host))
	}
	for i, link := range resp.Header.Values("Link") {
		resp.Header["Link"][i] = p.localLinks(link, resp.Request.URL, client.Host)
	}
	return nil
}

// cleanFields removes the fields of a reply that are about the login to the server, or that
// a browser would keep for the proxy's origin.
func cleanFields(fields http.Header) {
	for name := range fields {
		switch strings.TrimPrefix(name, http.TrailerPrefix) { // as a trailer is called that was not announced
		case "Set-Cookie", "Set-Cookie2", "Authorization", "Www-Authenticate", "Authentication-Info",
			"Proxy-Authenticate", "Proxy-Authentication-Info", "Strict-Transport-Security", "Clear-Site-Data", "Alt-Svc":
			delete(fields, name)
		}
	}
}

// A responseWriter cleans the interim replies of the server (RFC 9110, section 15.2).
type responseWriter struct{ http.ResponseWriter }

func (w *responseWriter) WriteHeader(status int) {
	switch {
	case status == http.StatusContinue: // the proxy sends its own
		return
	case status < http.StatusOK:
		cleanFields(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bufferSize is the size of a part of a reply that is passed on at once, in bytes.
const bufferSize = 128 << 10

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

// localURL returns a URL of the server as a URL of the proxy, and another URL as it is.
// Both are compared as parsed origins.
func (p *Proxy) localURL(u *url.URL, host string) string {
	o, err := challenge.OriginOf(u)
	base := strings.TrimSuffix(p.Upstream.Path, "/")
	if err != nil || o != p.upstream || base != "" && !strings.HasPrefix(u.Path, base+"/") {
		return u.String()
	}
	local := *u
	local.Scheme, local.Host, local.User = "http", host, nil
	local.Path, local.RawPath = strings.TrimPrefix(u.Path, base), strings.TrimPrefix(u.RawPath, base)
	return local.String()
}

// linkTarget matches the target of a link (RFC 8288, section 3).
var linkTarget = regexp.MustCompile(`<[^<>]*>`)

// localLinks replaces the targets in a Link field, which registries use for the next page
// of a list.
func (p *Proxy) localLinks(field string, base *url.URL, host string) string {
	return linkTarget.ReplaceAllStringFunc(field, func(target string) string {
		u, err := base.Parse(strings.Trim(target, "<>"))
		if err != nil {
			return target
		}
		return "<" + p.localURL(u, host) + ">"
	})
}
