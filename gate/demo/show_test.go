package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestShow(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := show(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(` {2,}`).ReplaceAllString(out.String(), "  ")
	for _, want := range []string{
		"alice  GET /token  granted  repository:users/alice/model:pull,push\n",
		"alice  PUT /v2/users/alice/model/manifests/v1  granted  repository:users/alice/model:pull,push\n",
		"alice  GET /v2/users/alice/model/manifests/v1  granted  repository:users/alice/model:pull\n",
		"anonymous  GET /token  granted  repository:users/alice/public:pull\n",
		"alice  POST /api/chat  granted  ollama:chat:call\n",
		"refused (403)  alice has no grant for repository:users/bob/model:pull,push\n",
		"GET /token  refused (401)  the key is not enrolled: SHA256:",
		"anonymous  GET /token  refused (401)  a key is needed for repository:users/alice/model:pull\n",
		"alice  POST /api/pull  refused (403)  alice has no grant for the endpoints pull\n",
		"POST /api/chat  refused (401)  the key is not enrolled: SHA256:",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
