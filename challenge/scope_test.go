package challenge

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cases are those of distribution's scope specification.
func TestSplitScope(t *testing.T) {
	data, err := os.ReadFile("testdata/token_responses.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Scopes []struct {
			S, Type, Name string
			Actions       []string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, tt := range file.Scopes {
		resource, actions := splitScope(tt.S)
		if want := tt.Type + ":" + tt.Name; resource != want {
			t.Errorf("%s: resource %q, want %q", tt.S, resource, want)
		}
		if diff := cmp.Diff(tt.Actions, actions); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", tt.S, diff)
		}
	}
}

func TestResourceOf(t *testing.T) {
	origin := httpsOrigin("r.example")
	for _, tt := range []struct{ path, repository string }{
		{"/v2/", ""},
		{"/v2/_catalog", ""},
		{"/api/a/manifests/latest", ""},
		{"/v2/a/manifests/latest", "a"},
		{"/v2/a/blobs/sha256:00", "a"},
		{"/v2/a/blobs/uploads/1", "a"},
		{"/v2/a/tags/list", "a"},
		{"/v2/a/referrers/sha256:00", "a"},
		{"/v2/a/other/1", ""},
		{"/v2/manifests/tags/list", "manifests"},
		{"/v2/az-._/09/b/manifests/latest", "az-._/09/b"},
		// A scope cannot hold these names.
		{"/v2/a b/manifests/latest", ""},
		{"/v2/A/manifests/latest", ""},
		{"/v2/a:push/manifests/latest", ""},
		{"/v2/a`/manifests/latest", ""},
		{"/v2/a{/manifests/latest", ""},
		{"/v2/a,/manifests/latest", ""},
		{"/v2/\u00e9/manifests/latest", ""},
	} {
		want := resource{origin: origin, repository: tt.repository, actions: "pull"}
		if got := resourceOf(origin, &http.Request{URL: &url.URL{Path: tt.path}}); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.path, got, want)
		}
	}
}

func TestNormalScope(t *testing.T) {
	tests := []struct{ scope, want string }{
		{"", ""},
		{"repository:a:pull", "repository:a:pull"},
		{"repository:a:push,pull", "repository:a:pull,push"},
		{"repository:a:pull repository:a:push", "repository:a:pull,push"},
		{"repository:b:pull repository:a:pull", "repository:a:pull repository:b:pull"},
		{"repository:a:pull  repository:a:pull", "repository:a:pull"},
		{"repository:a:pull,*", "repository:a:*"},
		{"repository:host:5000/a:pull", "repository:host:5000/a:pull"},
		{"repository(plugin):a:pull repository:a:push", "repository(plugin):a:pull repository:a:push"},
		// Outside the grammar.
		{"b a a", "a b"},
		{"a:b a:b:c", "a:b a:b:c"},
		{"-", "-"},
		{"a:b", "a:b"},
		{"a::c", "a::c"},
		{":b:c", ":b:c"},
		{"a:b:", "a:b:"},
		{":b:d,c", ":b:d,c"},
		{"a:bc: a:bc:x", "a:bc: a:bc:x"},
	}
	for _, tt := range tests {
		if got := normalScope(tt.scope); got != tt.want {
			t.Errorf("normalScope(%q) = %q, want %q", tt.scope, got, tt.want)
		}
	}
}

func FuzzNormalScope(f *testing.F) {
	f.Add("repository:a:pull,push repository:b:*")
	f.Add("a:b a:b:c :")
	f.Fuzz(func(t *testing.T, scope string) {
		normal := normalScope(scope)
		if again := normalScope(normal); again != normal {
			t.Errorf("normalScope(%q) = %q, and of that %q", scope, normal, again)
		}
		entries := strings.Fields(scope)
		for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
			entries[i], entries[j] = entries[j], entries[i]
		}
		if got := normalScope(strings.Join(entries, " ")); got != normal {
			t.Errorf("the order of %q matters: %q and %q", scope, normal, got)
		}
	})
}
