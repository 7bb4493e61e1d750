// Package registry is the gate's side of a registry: the token endpoint, the proxy to
// the registry behind the gate, and the addresses of blobs on a second host name.
package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/forward"
	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/reply"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/gate/verify"
)

// A Registry passes requests with a token on to the registry behind the gate. It
// checks the token itself, and the key and the grants once more, so that a key that is
// removed or a grant that ends acts at once.
type Registry struct {
	site      *site.Site
	upstream  challenge.Origin
	transport http.RoundTripper
	proxy     http.Handler
	blobs     *Blobs // nil if clients get blobs from the registry itself
	own       ownTokens
}

// New returns the handler of the registry of s. Blobs may be nil.
func New(s *site.Site, transport http.RoundTripper, blobs *Blobs) (*Registry, error) {
	upstream, err := challenge.OriginOf(s.Config.Registry)
	if err != nil {
		return nil, err
	}
	r := &Registry{site: s, upstream: upstream, transport: transport, blobs: blobs, own: ownTokens{site: s}}
	r.proxy = (&forward.Proxy{
		Upstream:  s.Config.Registry,
		Transport: transport,
		Prepare: func(in, out *http.Request) {
			out.Header["Authorization"] = in.Header["Authorization"]
		},
		ModifyResponse: r.modifyResponse,
		Failed:         func(_ *http.Request, err error) { s.Report("the registry behind "+s.Config.Origin.String(), err) },
	}).Handler()
	return r, nil
}

// ServeHTTP implements [http.Handler].
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c := r.site.Start(w, req)
	if c == nil {
		return
	}
	where, ok := r.admitForm(c, w, req)
	if !ok {
		return
	}
	need, needed := where.needs(req.Method)
	asked := ""
	if needed {
		asked = need.String() + sourceScope(c.Request.RawQuery)
		c.Note(func(d *audit.Decision) { d.Asked = []scope.Access{need} })
	}
	claims, name, ok := r.admitToken(c, w, req, asked)
	if !ok || needed && !r.admitAccess(c, w, claims, name, need, asked) {
		return
	}
	w.Header().Del("WWW-Authenticate")
	if where.kind == uploads {
		req = r.withoutForeignMount(req, c, claims, name)
	}
	if where.kind == blobs && req.Method == http.MethodGet && r.blobs != nil && r.redirect(c, w, req, where, claims) {
		return
	}
	c.Pass(r.proxy, w, req)
}

// admitForm refuses methods, paths and queries that are not in the table.
func (r *Registry) admitForm(c *site.Call, w http.ResponseWriter, req *http.Request) (route, bool) {
	where, ok := parseRoute(c.Request.Path)
	if !ok {
		c.Refuse(http.StatusNotFound, reply.Unsupported, "no resource has this path")
		return route{}, false
	}
	if methods := allowed[where.kind].methods; !slices.Contains(methods, req.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		c.Refuse(http.StatusMethodNotAllowed, reply.Unsupported, "this resource does not have the method")
		return route{}, false
	}
	if mistake := where.queryMistake(c.Request.RawQuery); mistake != "" {
		c.Refuse(http.StatusBadRequest, reply.Unsupported, mistake)
		return route{}, false
	}
	return where, true
}

// admitToken wants a valid token of this site whose key is still enrolled. As long as
// nothing else is written, the reply has a challenge.
func (r *Registry) admitToken(c *site.Call, w http.ResponseWriter, req *http.Request, asked string) (*token.Claims, string, bool) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("WWW-Authenticate", c.Challenge(asked, ""))
	authorization, err := verify.Authorization(req.Header)
	if err != nil || authorization == "" {
		reason := "a token is needed"
		if err != nil {
			reason = err.Error()
		}
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, reason)
		return nil, "", false
	}
	w.Header().Set("WWW-Authenticate", c.Challenge(asked, "invalid_token"))
	raw, ok := site.Bearer(authorization)
	if !ok {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "want a token (Authorization: Bearer ...)")
		return nil, "", false
	}
	claims, err := r.site.Tokens.Verify(raw, c.Now)
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
		return nil, "", false
	}
	name, ok := c.IdentifyToken(claims)
	return claims, name, ok
}

// admitAccess wants the access in the token and in the grants as they are now. Its
// challenge asks for the scopes in asked.
func (r *Registry) admitAccess(c *site.Call, w http.ResponseWriter, claims *token.Claims, name string, need scope.Access, asked string) bool {
	g := r.site.Grants.Get()
	for _, action := range need.Actions {
		if !g.Allows(name, need.Type, need.Name, action) && name != grants.Anonymous {
			w.Header().Del("WWW-Authenticate")
			c.Refuse(http.StatusForbidden, reply.Denied, name+" has no grant for "+need.String())
			return false
		}
		if !r.may(claims, name, need.Type, need.Name, action) {
			w.Header().Set("WWW-Authenticate", c.Challenge(asked, "insufficient_scope"))
			reason := "the token is not for " + need.String() + ": the client asked for less, or its credential helper allows less"
			if name == grants.Anonymous {
				reason = "a key is needed for " + need.String()
			}
			c.Refuse(http.StatusUnauthorized, reply.Unauthorized, reason)
			return false
		}
	}
	c.Note(func(d *audit.Decision) { d.Access, d.Asked = d.Asked, nil })
	return true
}

// may reports whether both the token and the grants as they are now allow an action.
func (r *Registry) may(claims *token.Claims, name, kind, resource, action string) bool {
	return scope.Allows(claims.Access, kind, resource, action) && r.site.Grants.Get().Allows(name, kind, resource, action)
}

// withoutForeignMount removes mount and from unless the client may pull from that
// repository. Distribution would reply 401 instead of beginning an upload, and clients
// such as Ollama end the push then.
func (r *Registry) withoutForeignMount(req *http.Request, c *site.Call, claims *token.Claims, name string) *http.Request {
	request := c.Request
	query, err := url.ParseQuery(request.RawQuery)
	if err != nil || !query.Has("from") && !query.Has("mount") {
		return req
	}
	if from := query.Get("from"); query.Has("from") && r.may(claims, name, scope.Repository, from, scope.Pull) {
		return req
	}
	query.Del("mount")
	query.Del("from")
	query.Del("origin") // tells where from is
	request.RawQuery = query.Encode()
	return req.WithContext(front.With(req.Context(), request))
}

// modifyResponse turns addresses at the registry into public ones, and a challenge of
// the registry into one of the gate.
func (r *Registry) modifyResponse(res *http.Response) error {
	request := front.Of(res.Request.Context())
	if location := res.Header.Get("Location"); location != "" {
		res.Header.Set("Location", r.public(location, request.Origin))
	}
	if link := res.Header.Get("Link"); link != "" {
		res.Header.Set("Link", strings.ReplaceAll(link, "<"+r.upstream.String()+"/", "<"+request.Origin+"/"))
	}
	if res.Header.Get("WWW-Authenticate") != "" {
		res.Header.Set("WWW-Authenticate", `Bearer realm="`+request.Origin+site.TokenPath+`",service="`+r.site.Config.Service()+`"`)
	}
	return nil
}

// public returns an address at the registry behind the gate as an absolute one at the
// public origin. Other addresses stay as they are.
func (r *Registry) public(location, origin string) string {
	u, err := url.Parse(location)
	if err != nil {
		return location
	}
	if u.Host != "" {
		if o, err := challenge.OriginOf(u); err != nil || o != r.upstream {
			return location
		}
	}
	at := &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return origin + at.String()
}

// Ready returns an error unless the registry behind the gate accepts a token of this
// gate.
func (r *Registry) Ready(ctx context.Context) error {
	raw, err := r.own.get(ctx, nil)
	if err != nil {
		return err
	}
	res, err := r.ask(ctx, http.MethodGet, "/v2/", "Bearer "+raw)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry behind %s answers %s to a token of this gate: compare its rootcertbundle, issuer and service", r.site.Config.Origin, res.Status)
	}
	return nil
}

// ask sends a request of the gate itself to the registry.
func (r *Registry) ask(ctx context.Context, method, path, authorization string) (*http.Response, error) {
	u := r.upstream.URL()
	u.Path = path
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", authorization)
	return r.transport.RoundTrip(req)
}
