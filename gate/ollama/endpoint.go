package ollama

import (
	"regexp"
	"slices"

	"github.com/countersign/countersign/gate/grants"
)

// An endpoint is a path of Ollama's API with its methods and its group.
type endpoint struct {
	methods []string
	path    *regexp.Regexp
	group   string // of package grants; "" if the gate refuses it for everybody
	upload  bool   // the request is a file of any size
}

// endpoints are those of Ollama v0.17.4 (server/routes.go, GenerateRoutes). All other
// requests are refused. The endpoints without a group act with the identity of the
// server, not with that of the client.
var endpoints = []endpoint{
	at(grants.Read, "/api/version", "GET", "HEAD"),
	at(grants.Read, "/api/tags", "GET", "HEAD"),
	at(grants.Read, "/api/ps", "GET"),
	at(grants.Read, "/api/show", "POST"),
	at(grants.Read, "/v1/models", "GET"),
	at(grants.Read, "/v1/models/[A-Za-z0-9][A-Za-z0-9._:@-]*", "GET"),
	at(grants.Chat, "/api/(generate|chat|embed|embeddings)", "POST"),
	at(grants.Chat, "/v1/(chat/completions|completions|embeddings|responses|messages|images/generations|images/edits)", "POST"),
	at(grants.Pull, "/api/pull", "POST"),
	at(grants.Push, "/api/push", "POST"),
	at(grants.Create, "/api/(create|copy)", "POST"),
	{methods: []string{"POST", "HEAD"}, path: whole("/api/blobs/sha256[:-][0-9a-fA-F]{64}"), group: grants.Create, upload: true},
	at(grants.Delete, "/api/delete", "DELETE"),
	at("", "/api/me", "POST"),
	at("", "/api/signout", "POST"),
	at("", "/api/user/keys/[A-Za-z0-9_=-]+", "DELETE"),
}

func at(group, path string, methods ...string) endpoint {
	return endpoint{methods: methods, path: whole(path), group: group}
}

func whole(path string) *regexp.Regexp { return regexp.MustCompile("^" + path + "$") }

// find returns the endpoint with a path, and whether it has the method.
func find(method, path string) (e endpoint, hasPath, hasMethod bool) {
	for _, e := range endpoints {
		if e.path.MatchString(path) {
			return e, true, slices.Contains(e.methods, method)
		}
	}
	return endpoint{}, false, false
}
