package proxy

import (
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

// A refusal is the error for a request that is not passed on.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// hostsOf returns the Host fields that requests to a listener at addr may have. A page of
// another site that makes its name resolve to this machine (DNS rebinding) sends its own
// name.
func hostsOf(addr net.Addr) ([]string, error) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return []string{"localhost"}, nil
	}
	if !tcp.IP.IsLoopback() {
		return nil, errors.New("the proxy listens on loopback addresses only: everybody who reaches it can use the key")
	}
	hosts := []string{tcp.IP.String(), "localhost"}
	if tcp.IP.To4() == nil {
		hosts[0] = "[" + hosts[0] + "]"
	}
	if tcp.Port == 80 { // clients leave the default port out
		return append(hosts, hosts[0]+":80", hosts[1]+":80"), nil
	}
	for i := range hosts {
		hosts[i] += ":" + strconv.Itoa(tcp.Port)
	}
	return hosts, nil
}

// admit checks who sends a request, before its path is looked at.
func (p *Proxy) admit(r *http.Request) error {
	c, ok := r.Context().Value(clientKey{}).(*client)
	if !ok {
		return &refusal{http.StatusForbidden, "the client of this connection is not known: use Proxy.Serve"}
	}
	if err := c.check(); err != nil {
		return &refusal{http.StatusForbidden, err.Error()}
	}
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return &refusal{http.StatusMethodNotAllowed, "the method " + r.Method + " is not supported"}
	case r.URL.IsAbs() || r.URL.Host != "" || !strings.HasPrefix(r.RequestURI, "/"):
		return &refusal{http.StatusBadRequest, "the request names a whole URL: this is not a proxy for other servers"}
	case !slices.Contains(c.hosts, strings.ToLower(r.Host)):
		return &refusal{http.StatusMisdirectedRequest, "the Host field is not the address of this proxy: use " + c.hosts[0]}
	case len(r.Header.Values("Upgrade")) > 0:
		return &refusal{http.StatusBadRequest, "the field Upgrade is not supported"}
	case !p.isFromAllowedSite(r, c.hosts):
		return &refusal{http.StatusForbidden, "the request comes from a page of another site: see --allow-origin"}
	case !p.isPreflight(r) && !p.hasToken(r):
		return &refusal{http.StatusUnauthorized, "the request has no token, or a wrong one: send it as the password of Basic authentication"}
	}
	return nil
}

// isFromAllowedSite reports whether no browser sent r, or a page that may. Browsers send
// Origin with each request that changes something, and Sec-Fetch-Site with each request.
func (p *Proxy) isFromAllowedSite(r *http.Request, hosts []string) bool {
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		own := slices.ContainsFunc(hosts, func(host string) bool { return origins[0] == "http://"+host })
		return len(origins) == 1 && (own || slices.Contains(p.AllowOrigins, origins[0]))
	}
	switch strings.Join(r.Header.Values("Sec-Fetch-Site"), ",") {
	case "", "same-origin", "none": // "none" is a person who typed the address
		return true
	}
	return false
}

func (p *Proxy) hasToken(r *http.Request) bool {
	if p.Token == "" {
		return true
	}
	_, given, ok := r.BasicAuth()
	if scheme, rest, found := strings.Cut(r.Header.Get("Authorization"), " "); !ok && found && strings.EqualFold(scheme, "Bearer") {
		given = rest
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(p.Token)) == 1
}

// checkOperation allows the methods and paths that ServeHTTP documents.
func (p *Proxy) checkOperation(r *http.Request) error {
	path := r.URL.Path
	if !isPlain(r.URL) {
		return &refusal{http.StatusBadRequest, "the path has an empty or dot segment or an escaped character"}
	}
	registry, api := strings.HasPrefix(path, "/v2/"), isAPI(path)
	switch {
	case p.realms.has(endpoint(path)):
		return errTokenEndpoint
	case path == "/" && isRead(r.Method):
	case !registry && !api:
		return &refusal{http.StatusNotFound, "only paths below /v2/, /api/ and /v1/ are passed on"}
	case r.Method == http.MethodDelete:
		if !p.AllowDelete {
			return &refusal{http.StatusForbidden, "the proxy was started without --allow delete"}
		}
	case isRead(r.Method), api && r.Method == http.MethodPost && !changesModels(path):
	case !isWrite(r.Method):
		return &refusal{http.StatusMethodNotAllowed, "the method is not supported"}
	case !p.AllowPush:
		return &refusal{http.StatusForbidden, "the proxy was started without --allow push"}
	}
	return nil
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func isWrite(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// isAPI reports whether path belongs to Ollama's API.
func isAPI(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/v1/")
}

// changesModels reports whether a POST to path may change the server's models or its
// account. An endpoint that is not known may.
func changesModels(path string) bool {
	switch path {
	case "/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show", "/api/me",
		"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/images/generations":
		return false
	}
	return true
}

// isPlain reports whether the path of u has one reading only. Servers differ in how
// they read the others: Ollama serves /api%2Ftags as /api/tags.
func isPlain(u *url.URL) bool {
	if strings.ContainsAny(u.EscapedPath(), `%\;`) || strings.Contains(u.Path, "//") {
		return false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// isRemoved reports whether a field of a request is about the client's own login or site,
// or names another method or path. The server must not see it: it would refuse the site, mix up two
// logins, or do an operation that the proxy did not check.
func isRemoved(name string) bool {
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) // CGI does not tell them apart
	switch name {
	case "Authorization", "Cookie", "Origin", "Referer", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Http2-Settings",
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Method", "X-Original-Url", "X-Rewrite-Url":
		return true
	}
	return strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Proxy-") ||
		strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Access-Control-")
}

// shown returns a path for a log line.
func shown(path string) string { return printable.Text(path) }
