package registry

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/front"
	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/gate/reply"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/gate/site"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/gate/verify"
)

// maxForm is the size of the largest form that the token endpoint reads, in bytes.
const maxForm = 64 << 10

// TokenEndpoint returns the handler of the token endpoint: a signed GET, a GET without
// Authorization for anonymous clients, and a POST with a helper secret.
func TokenEndpoint(s *site.Site) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.Start(w, r)
		if c == nil {
			return
		}
		switch r.Method {
		case http.MethodGet:
			serveGet(c, w, r)
		case http.MethodPost:
			servePost(c, w, r)
		default:
			w.Header().Set("Allow", "GET, POST")
			c.Refuse(http.StatusMethodNotAllowed, reply.Unsupported, "the token endpoint answers GET and POST")
		}
	})
}

func serveGet(c *site.Call, w http.ResponseWriter, r *http.Request) {
	authorization, err := verify.Authorization(r.Header)
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
		return
	}
	if authorization == "" {
		serveAnonymous(c, w, r)
		return
	}
	request, err := verify.Token(authorization, c.Request.Origin+c.Request.Target(), c.Site.Window, c.Now)
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
		return
	}
	name, ok := c.Identify(request.Key)
	if !ok || !hasService(c, request.Service) {
		return
	}
	access, ok := intersect(c, name, scope.Parse(request.Scopes))
	if !ok || !takeNonce(c, r, request) {
		return
	}
	issue(c, w, r, name, access)
}

// hasService refuses a request for another service.
func hasService(c *site.Call, service string) bool {
	if service == c.Site.Config.Service() {
		return true
	}
	c.Refuse(http.StatusBadRequest, reply.Unsupported, "the service is not that of this site's challenges: want "+c.Site.Config.Service())
	return false
}

// intersect returns the part of asked that name may have. It refuses a request that
// gets nothing of what it asks for.
func intersect(c *site.Call, name string, asked []scope.Access) ([]scope.Access, bool) {
	access := c.Site.Grants.Get().Intersect(name, asked)
	c.Note(func(d *audit.Decision) { d.Access, d.Asked = access, asked })
	if len(asked) == 0 || len(access) > 0 {
		return access, true
	}
	if name == grants.Anonymous {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "a key is needed for "+list(asked))
		return nil, false
	}
	c.Refuse(http.StatusForbidden, reply.Denied, name+" has no grant for "+list(asked))
	return nil, false
}

func list(all []scope.Access) string {
	text := all[0].String()
	if len(all) > 1 {
		text += " and others"
	}
	return text
}

// takeNonce is the last check, so that a request that is refused for another reason
// can be sent again.
func takeNonce(c *site.Call, r *http.Request, request *verify.TokenRequest) bool {
	err := verify.Await(r.Context(), request.Time, c.Site.Now())
	if err == nil {
		err = c.Site.Nonces.Take(r.Context(), nonce.KeyOf(c.Site.Config.Service(), c.KeyID(), request.Nonce), request.Time)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, nonce.ErrUsed), errors.Is(err, nonce.ErrEpoch):
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
	default: // only the operator learns where the store is
		c.Refuse(http.StatusServiceUnavailable, reply.Unavailable, "used requests cannot be remembered now, so none is accepted")
		c.Site.Report("the store of used requests", err)
	}
	return false
}

// serveAnonymous answers a client without a key.
func serveAnonymous(c *site.Call, w http.ResponseWriter, r *http.Request) {
	query, err := verify.Query(c.Request.RawQuery)
	if err != nil {
		c.Refuse(http.StatusBadRequest, reply.Unsupported, err.Error())
		return
	}
	if !hasService(c, query.Get("service")) {
		return
	}
	asked := scope.Parse(query["scope"])
	access, ok := intersect(c, grants.Anonymous, asked)
	if !ok {
		return
	}
	if len(asked) == 0 && len(c.Site.Grants.Get().For(grants.Anonymous)) == 0 {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "a key is needed here")
		return
	}
	issue(c, w, r, grants.Anonymous, access)
}

// servePost answers a client with a helper secret (distribution's
// docs/content/spec/auth/oauth.md).
func servePost(c *site.Call, w http.ResponseWriter, r *http.Request) {
	form, mistake := readForm(w, r)
	if mistake != "" {
		c.Refuse(http.StatusBadRequest, reply.Unsupported, mistake)
		return
	}
	h, key, err := verify.Secret(form.Get("refresh_token"), c.Now)
	if err != nil {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, err.Error())
		return
	}
	c.Note(func(d *audit.Decision) { d.Secret = h.ID })
	name, ok := c.Identify(key)
	if !ok {
		return
	}
	if !isFor(h, c.Site.Config) {
		c.Refuse(http.StatusUnauthorized, reply.Unauthorized, "the helper secret is for "+h.Origin.String())
		return
	}
	if !hasService(c, form.Get("service")) {
		return
	}
	access, ok := intersect(c, name, limitTo(h, scope.Parse(form["scope"])))
	if ok {
		issue(c, w, r, name, access)
	}
}

// isFor reports whether a helper secret is for a site. Clients name a registry without its
// scheme to their helper, which then means https. A site without TLS accepts that secret:
// no other site has its host and port. A secret for plain http is accepted there only.
func isFor(h challenge.HelperSecret, s config.Site) bool {
	named, own := h.Origin.URL(), s.Origin.URL()
	return h.Service == s.Service() && named.Host == own.Host && (named.Scheme == own.Scheme || named.Scheme == "https")
}

// readForm reads the form of a POST request, or returns the mistake in it.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, string) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, "want a form (application/x-www-form-urlencoded)"
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err = r.ParseForm()
	front.AdmitBody(w) // it is read: a signing key may be slow
	if err != nil || r.URL.RawQuery != "" {
		return nil, "the form is malformed or too large, or the address has a query"
	}
	if r.PostForm.Get("grant_type") != "refresh_token" {
		return nil, "want grant_type=refresh_token"
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && name != "scope" {
			return nil, "the form has a field twice"
		}
	}
	return r.PostForm, ""
}

// limitTo returns the part of asked that a helper secret allows: its actions, on
// repositories.
func limitTo(h challenge.HelperSecret, asked []scope.Access) []scope.Access {
	var limited []scope.Access
	for _, a := range asked {
		if a.Type != scope.Repository {
			continue
		}
		actions := a.Actions
		if slices.Contains(actions, scope.All) {
			actions = h.Actions
		}
		actions = slices.DeleteFunc(slices.Clone(actions), func(action string) bool { return !slices.Contains(h.Actions, action) })
		limited = append(limited, scope.Access{Type: a.Type, Name: a.Name, Actions: actions})
	}
	return limited
}

// issue replies with a token.
func issue(c *site.Call, w http.ResponseWriter, r *http.Request, name string, access []scope.Access) {
	claims := token.Claims{Subject: name, Access: access, Key: c.Fingerprint()}
	raw, made, err := c.Site.Tokens.Sign(r.Context(), claims, c.Site.Now())
	if err != nil {
		c.Refuse(http.StatusServiceUnavailable, reply.Unavailable, "no token can be signed now")
		c.Site.Report("signing a token", err)
		return
	}
	c.Grant(http.StatusOK)
	issued, expires := made.Issued.Time(), made.Expires.Time()
	reply.JSON(w, http.StatusOK, tokenReply{raw, raw, int(expires.Sub(issued).Seconds()), issued.UTC().Format(time.RFC3339)})
}

// A tokenReply is the reply of distribution's docs/content/spec/auth/token.md.
type tokenReply struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	IssuedAt    string `json:"issued_at"`
}
