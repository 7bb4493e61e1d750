// Package ollama is the gate's side of an Ollama server: a proxy for /api/ and /v1/
// that admits signed requests of unmodified clients (OLLAMA_AUTH=1), and requests with
// a token of the gate (strong mode).
//
// The signature of a request covers its method, path and time, and neither the host nor
// the body. A server that sees it can send it, with another body, to another server
// that knows the same key, within the window of time. In strong mode the signature is
// that of a token request, which covers the origin.
package ollama

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/forward"
	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/reply"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/gate/verify"
)

// A Server passes admitted requests on to the Ollama server behind the gate.
type Server struct {
	site    *site.Site
	maxBody int64
	proxy   http.Handler
}

// who sent a request.
type who struct{ name, fingerprint string }

type whoKey struct{}

// New returns the handler of the Ollama server of s. A request has at most maxBody
// bytes, unless it uploads a file.
func New(s *site.Site, transport http.RoundTripper, maxBody int64) *Server {
	proxy := &forward.Proxy{
		Upstream:  s.Config.Ollama,
		Transport: transport,
		Prepare: func(in, out *http.Request) {
			user, _ := in.Context().Value(whoKey{}).(who)
			out.Header.Set(forward.UserField, user.name)
			out.Header.Set(forward.KeyField, user.fingerprint)
		},
		Failed: func(_ *http.Request, err error) { s.Report("the Ollama server behind "+s.Config.Origin.String(), err) },
	}
	return &Server{site: s, maxBody: maxBody, proxy: proxy.Handler()}
}

// ServeHTTP implements [http.Handler]. The base path of the site is cut from the path
// already, because clients do not sign it.
func (o *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := o.site.Start(w, r)
	if c == nil {
		return
	}
	e, ok := o.admitForm(c, w, r)
	if !ok {
		return
	}
	asked := scope.Access{Type: scope.Ollama, Name: e.group, Actions: []string{scope.Call}}
	c.Note(func(d *audit.Decision) { d.Asked = []scope.Access{asked} })
	user, ok := o.admitClient(c, w, r, asked)
	if !ok {
		return
	}
	if !o.site.Grants.Get().AllowsEndpoint(user.name, e.group) {
		c.Refuse(http.StatusForbidden, reply.Denied, user.name+" has no grant for the endpoints "+e.group)
		return
	}
	c.Note(func(d *audit.Decision) { d.Access = d.Asked })
	w.Header().Del("WWW-Authenticate")
	if !e.upload {
		r.Body = http.MaxBytesReader(w, r.Body, o.maxBody)
	}
	c.Pass(o.proxy, w, r.WithContext(context.WithValue(r.Context(), whoKey{}, user)))
}

// admitForm refuses methods, paths and queries that are not in the table.
func (o *Server) admitForm(c *site.Call, w http.ResponseWriter, r *http.Request) (endpoint, bool) {
	e, hasPath, hasMethod := find(r.Method, c.Request.Path)
	switch {
	case !hasPath:
		c.Refuse(http.StatusNotFound, reply.Unsupported, "the gate does not know this endpoint")
	case !hasMethod:
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		c.Refuse(http.StatusMethodNotAllowed, reply.Unsupported, "this endpoint does not have the method")
	case !hasOnlyTime(c.Request):
		c.Refuse(http.StatusBadRequest, reply.Unsupported, "the query may have ts, and nothing else")
	case e.group == "":
		c.Refuse(http.StatusForbidden, reply.Denied, "this endpoint acts with the identity of the server, so nobody may use it through the gate")
	default:
		return e, true
	}
	return endpoint{}, false
}

// hasOnlyTime reports whether the query is empty, or one ts.
func hasOnlyTime(r front.Request) bool {
	query, err := url.ParseQuery(r.RawQuery)
	return err == nil && (r.RawQuery == "" || len(query) == 1 && len(query["ts"]) == 1)
}

// admitClient wants a token of this site for asked, or a signature, as the
// configuration accepts them, from a key that is enrolled.
func (o *Server) admitClient(c *site.Call, w http.ResponseWriter, r *http.Request, asked scope.Access) (who, bool) {
	if o.site.Config.AcceptTokens {
		w.Header().Set("WWW-Authenticate", c.Challenge(asked.String(), ""))
	}
	authorization, err := verify.Authorization(r.Header)
	if err != nil || authorization == "" {
		reason := "a signature or a token is needed: set OLLAMA_AUTH=1, or use countersign proxy"
		if err != nil {
			reason = err.Error()
		}
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, reason)
		return who{}, false
	}
	if raw, ok := site.Bearer(authorization); ok {
		return o.admitToken(c, w, raw, asked)
	}
	if !o.site.Config.AcceptSignatures {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "this server takes tokens and no signatures: use countersign proxy without --sign")
		return who{}, false
	}
	request, err := verify.API(authorization, r.Method, c.Request.Target(), c.Now)
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
		return who{}, false
	}
	name, ok := c.Identify(request.Key)
	return who{name, c.Fingerprint()}, ok
}

func (o *Server) admitToken(c *site.Call, w http.ResponseWriter, raw string, asked scope.Access) (who, bool) {
	if !o.site.Config.AcceptTokens {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "this server takes signatures and no tokens")
		return who{}, false
	}
	w.Header().Set("WWW-Authenticate", c.Challenge(asked.String(), "invalid_token"))
	claims, err := o.site.Tokens.Verify(raw, c.Now)
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
		return who{}, false
	}
	name, ok := c.IdentifyToken(claims)
	if !ok {
		return who{}, false
	}
	if !scope.Allows(claims.Access, asked.Type, asked.Name, scope.Call) {
		w.Header().Set("WWW-Authenticate", c.Challenge(asked.String(), "insufficient_scope"))
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "the token is not for "+asked.String())
		return who{}, false
	}
	return who{name, claims.Key}, true
}
