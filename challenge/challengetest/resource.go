package challengetest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A resource is a parsed path under /v2/. The zero value is /v2/ itself.
type resource struct {
	repo string
	kind string // "manifests", "blobs" or "blobs/uploads"
	ref  string // tag, digest or upload
}

var resourcePath = regexp.MustCompile(`^/v2/([\w.-]+(?:/[\w.-]+)*)/(manifests|blobs/uploads|blobs)/([\w.:-]*)$`)

func parseResource(path string) (resource, bool) {
	if path == "/v2" || path == "/v2/" {
		return resource{}, true
	}
	m := resourcePath.FindStringSubmatch(path)
	if m == nil {
		return resource{}, false
	}
	return resource{repo: m[1], kind: m[2], ref: m[3]}, true
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// serveResource answers a request with a token for the resource, and challenges
// every other request.
func (r *Registry) serveResource(w http.ResponseWriter, req *http.Request) {
	res, ok := parseResource(req.URL.Path)
	if !ok {
		refuse(http.StatusNotFound, "NAME_INVALID", "no resource has this path").write(w)
		return
	}
	var scope, access string
	if res.repo != "" {
		scope = "repository:" + res.repo + ":pull"
		access = scope
		if !isRead(req.Method) {
			scope, access = scope+",push", "repository:"+res.repo+":push"
		}
	}
	if reason, ok := r.authorized(req, access); !ok {
		r.servePart(Challenges, func(w http.ResponseWriter, _ *http.Request) { r.challenge(w, scope, reason) }, w, req)
		return
	}
	r.serveContent(w, req, res)
}

// authorized reports whether the token of req grants access. If not, reason is the
// error code of RFC 6750, section 3.1, or "" if req has no token.
func (r *Registry) authorized(req *http.Request, access string) (reason string, ok bool) {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	g, found := r.tokens.find(token)
	if !found || !r.config.Now().Before(g.expires) {
		return "invalid_token", false
	}
	if access == "" || slices.Contains(g.access, access) || slices.Contains(g.access, allActions(access)) {
		return "", true
	}
	return "insufficient_scope", false
}

// allActions returns access with "*" in place of its action.
func allActions(access string) string { return access[:strings.LastIndexByte(access, ':')+1] + "*" }

// challenge answers 401 with the scope that the request needs.
func (r *Registry) challenge(w http.ResponseWriter, scope, reason string) {
	line := "Bearer realm=" + quoted(r.realm) + ",service=" + quoted(r.config.Service)
	if scope != "" {
		line += ",scope=" + quoted(scope)
	}
	if reason != "" {
		line += ",error=" + quoted(reason)
	}
	w.Header().Set("WWW-Authenticate", line)
	refuse(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required").write(w)
}

// quoted returns s as a quoted-string (RFC 9110, section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
