package registry

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/countersign/countersign/gate/grants"
	"github.com/countersign/countersign/gate/scope"
)

// A kind is a form of path in the OCI distribution specification.
type kind string

const (
	base      kind = "base"
	catalog   kind = "catalog"
	tags      kind = "tags"
	manifests kind = "manifests"
	blobs     kind = "blobs"
	uploads   kind = "uploads" // where uploads begin
	upload    kind = "upload"
	referrers kind = "referrers"
)

// allowed has the methods of each kind, and the parameters of a query. All other
// requests are refused.
var allowed = map[kind]struct{ methods, parameters []string }{
	base:      {methods: []string{"GET", "HEAD"}},
	catalog:   {methods: []string{"GET"}, parameters: []string{"n", "last"}},
	tags:      {methods: []string{"GET"}, parameters: []string{"n", "last"}},
	manifests: {methods: []string{"GET", "HEAD", "PUT", "DELETE"}},
	blobs:     {methods: []string{"GET", "HEAD", "DELETE"}},
	uploads:   {methods: []string{"POST"}, parameters: []string{"mount", "from", "origin", "digest"}},                         // origin: crane
	upload:    {methods: []string{"GET", "HEAD", "PATCH", "PUT", "DELETE"}, parameters: []string{"_state", "digest", "etag"}}, // etag: Ollama
	referrers: {methods: []string{"GET"}, parameters: []string{"artifactType"}},
}

// A route is a path below /v2/.
type route struct {
	kind       kind
	repository string
	reference  string // a tag or a digest
}

const (
	digestForm = `[A-Za-z0-9_+.-]+:[A-Fa-f0-9]{32,128}`
	tagForm    = `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`
)

// paths are tried in this order. The last two segments tell the kind, so a path fits
// one of them at most.
var paths = []struct {
	kind kind
	form *regexp.Regexp
}{
	{tags, regexp.MustCompile(`^/v2/(.+)/tags/(list)$`)},
	{manifests, regexp.MustCompile(`^/v2/(.+)/manifests/(` + tagForm + `|` + digestForm + `)$`)},
	{referrers, regexp.MustCompile(`^/v2/(.+)/referrers/(` + digestForm + `)$`)},
	{uploads, regexp.MustCompile(`^/v2/(.+)/blobs/uploads/()$`)},
	{upload, regexp.MustCompile(`^/v2/(.+)/blobs/uploads/([A-Za-z0-9_=-]{1,512})$`)},
	{blobs, regexp.MustCompile(`^/v2/(.+)/blobs/(` + digestForm + `)$`)},
}

// parseRoute returns false for a path that the gate does not know.
func parseRoute(path string) (route, bool) {
	switch path {
	case "/v2/":
		return route{kind: base}, true
	case "/v2/_catalog":
		return route{kind: catalog}, true
	}
	for _, p := range paths {
		if m := p.form.FindStringSubmatch(path); m != nil && grants.IsRepository(m[1]) {
			return route{p.kind, m[1], m[2]}, true
		}
	}
	return route{}, false
}

// queryMistake returns why the query of a request is refused, or "".
func (r route) queryMistake(rawQuery string) string {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "the query is malformed"
	}
	for name, values := range query {
		if !slices.Contains(allowed[r.kind].parameters, name) || len(values) > 1 {
			return "the query has a parameter that is unknown here, or one twice"
		}
	}
	return ""
}

// needs returns the access that distribution wants for a request with a method.
func (r route) needs(method string) (scope.Access, bool) {
	switch r.kind {
	case base:
		return scope.Access{}, false
	case catalog:
		return scope.Access{Type: scope.Registry, Name: "catalog", Actions: []string{scope.All}}, true
	}
	actions := []string{scope.Pull, scope.Push}
	switch method {
	case http.MethodGet, http.MethodHead:
		actions = []string{scope.Pull}
	case http.MethodDelete:
		actions = []string{scope.Delete}
	}
	return scope.Access{Type: scope.Repository, Name: r.repository, Actions: actions}, true
}

// sourceScope returns the scope, after a space, that a client needs besides to mount a blob
// from another repository, or "". Without it in the challenge, clients such as Ollama
// would have no token for the mount, and send the blob. Only uploads have the parameter.
func sourceScope(rawQuery string) string {
	query, err := url.ParseQuery(rawQuery)
	if from := query.Get("from"); err == nil && grants.IsRepository(from) {
		return " " + scope.Access{Type: scope.Repository, Name: from, Actions: []string{scope.Pull}}.String()
	}
	return ""
}
