package challenge

import (
	"net/http"
	"strings"
)

// A resource is what a registry asks for a token for: some actions on a repository,
// or on everything outside of repositories.
type resource struct {
	origin     Origin
	repository string
	actions    string // as a scope has them
}

// resourceOf follows the paths of the OCI distribution specification:
// /v2/<name>/(manifests|blobs|tags|referrers)/<reference> and
// /v2/<name>/blobs/uploads/<reference>.
func resourceOf(origin Origin, req *http.Request) resource {
	r := resource{origin: origin, actions: actionsOf(req.Method)}
	path, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	if !ok {
		return r
	}
	path, _ = cutLast(path) // the reference; from the end, because a name may hold any word
	path = strings.TrimSuffix(path, "/uploads")
	name, kind := cutLast(path)
	switch kind {
	case "manifests", "blobs", "tags", "referrers":
		if fitsScope(name) {
			r.repository = name
		}
	}
	return r
}

// scope returns the scope that registries usually ask for.
func (r resource) scope() string { return repositoryScope(r.repository, r.actions) }

// cutLast cuts path at its last slash.
func cutLast(path string) (before, after string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// fitsScope reports whether a scope can hold name.
func fitsScope(name string) bool {
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < '-' || b > '9') && b != '_' { // "-" to "9" are -./ and the digits
			return false
		}
	}
	return true
}

// actionsOf follows distribution's registry.
func actionsOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, "":
		return "pull"
	case http.MethodDelete:
		return "delete"
	}
	return "pull,push"
}
