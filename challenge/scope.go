package challenge

import (
	"net/http"
	"slices"
	"strings"
)

// A resource is a part of a registry that needs a token of its own: some actions on a
// repository, or on everything outside of repositories.
type resource struct {
	origin     Origin
	repository string
	actions    string // as a scope has them
	source     string // the repository that a blob is mounted from, or ""
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
	path, upload := strings.CutSuffix(path, "/uploads")
	name, kind := cutLast(path)
	switch kind {
	case "manifests", "blobs", "tags", "referrers":
		if fitsScope(name) {
			r.repository = name
		}
		if !upload {
			break
		}
		if from := req.URL.Query().Get("from"); fitsScope(from) {
			r.source = from
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

// normalScope returns the one form that stands for every scope that asks for
// the same: entries sorted, those of one resource merged, actions sorted, "*"
// for all of them. Entries outside the grammar are kept as they are.
//
// Grammar: distribution's docs/content/spec/auth/scope.md.
func normalScope(scope string) string {
	var entries []string
	actions := map[string][]string{} // by resource, "type:name"
	for _, entry := range strings.Fields(scope) {
		resource, list := splitScope(entry)
		if list == nil {
			entries = append(entries, entry)
			continue
		}
		actions[resource] = append(actions[resource], list...)
	}
	for resource, list := range actions {
		entries = append(entries, resource+":"+joinActions(list))
	}
	slices.Sort(entries)
	return strings.Join(slices.Compact(entries), " ")
}

// splitScope parts "type:name:action,action", and finds no actions in an entry
// of another form. A name may hold colons (the port of a host).
func splitScope(entry string) (resource string, actions []string) {
	last := strings.LastIndexByte(entry, ':')
	if first := strings.IndexByte(entry, ':'); first <= 0 || last-first < 2 || last == len(entry)-1 {
		return entry, nil
	}
	return entry[:last], strings.Split(entry[last+1:], ",")
}

func joinActions(actions []string) string {
	if slices.Contains(actions, "*") {
		return "*"
	}
	slices.Sort(actions)
	return strings.Join(slices.Compact(actions), ",")
}

// repositoryScope is the scope that registries ask for, for a repository.
func repositoryScope(name, actions string) string { return "repository:" + name + ":" + actions }
