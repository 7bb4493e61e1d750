package grants

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gate/scope"
)

const text = `
[[grant]]
names = ["alice", "a@b"]
repositories = ["users/${name}/*", "shared", "team-${name}"]
actions = ["pull", "push"]

[[grant]]
names = ["*"]
repositories = ["library/*"]
actions = ["pull"]
endpoints = ["read"]

[[grant]]
names = ["root"]
repositories = ["*"]
actions = ["pull", "push", "delete"]
catalog = true
endpoints = ["chat", "delete"]

[[grant]]
anonymous = true
repositories = ["public", "users/x/*"]
actions = ["pull"]
`

func parse(t testing.TB, text string) *Grants {
	t.Helper()
	g, err := Parse([]byte(text), "grants.toml")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRule08_Allows(t *testing.T) {
	g := parse(t, text)
	for _, tt := range []struct {
		name, scope string
		want        bool
	}{
		{"alice", "repository:users/alice/a:pull", true},
		{"alice", "repository:users/alice/a/b/c:push", true},
		{"alice", "repository:users/alice/a:delete", false},
		{"alice", "repository:users/alice:pull", false},
		{"alice", "repository:users/alicex/a:pull", false},
		{"alice", "repository:users/bob/a:pull", false},
		{"alice", "repository:shared:push", true},
		{"alice", "repository:shared/a:pull", false},
		{"alice", "repository:team-alice:pull", true},
		{"alice", "repository:library/a:pull", true},
		{"alice", "repository:library/a:push", false},
		{"alice", "repository:public:pull", true},
		{"alice", "repository:users/alice/a:*", false},
		{"alice", "registry:catalog:*", false},
		{"alice", "ollama:read:call", true},
		{"alice", "ollama:chat:call", false},
		{"a@b", "repository:users/a@b/a:pull", false}, // no registry has such a repository
		{"bob", "repository:shared:pull", false},
		{"root", "repository:any/thing:delete", true},
		{"root", "repository:any/thing:*", false},
		{"root", "repository:Any:pull", false},
		{"root", "repository:a//b:pull", false},
		{"root", "repository:" + strings.Repeat("a", 255) + ":pull", true},
		{"root", "repository:" + strings.Repeat("a", 256) + ":pull", false},
		{"root", "repository:a:", false},
		{"root", "registry:catalog:*", true},
		{"root", "registry:catalog:pull", false},
		{"root", "registry:other:*", false},
		{"root", "ollama:delete:call", true},
		{"root", "ollama:delete:*", false},
		{"root", "ollama:create:call", false},
		{"root", "other:x:pull", false},
		{"*", "repository:library/a:pull", true}, // no key has this name
		{Anonymous, "repository:public:pull", true},
		{Anonymous, "repository:users/x/a:pull", true},
		{Anonymous, "repository:public:push", false},
		{Anonymous, "repository:library/a:pull", false},
		{Anonymous, "ollama:read:call", false},
	} {
		i := strings.LastIndexByte(tt.scope, ':')
		kind, resource, _ := strings.Cut(tt.scope[:i], ":")
		if got := g.Allows(tt.name, kind, resource, tt.scope[i+1:]); got != tt.want && tt.scope[i+1:] != "*" {
			t.Errorf("%q %s: %v", tt.name, tt.scope, got)
		}
		for _, a := range g.Intersect(tt.name, []scope.Access{{Type: kind, Name: resource, Actions: []string{tt.scope[i+1:]}}}) {
			if kind != scope.Registry && scope.Allows([]scope.Access{a}, a.Type, a.Name, scope.All) {
				t.Errorf("%q %s: got %s", tt.name, tt.scope, a)
			}
		}
	}
}

func TestParseReportsEveryMistake(t *testing.T) {
	_, err := Parse([]byte(`[[grant]]
names = ["two words"]
repositories = ["a*", "a/*/b",
  "A", "${name}/*", "*/a", "${user}"]
actions = ["pull", "steal"]
[[grant]]
repositories = ["a"]
[[grant]]
names = ["a"]
[[grant]]
anonymous = true
names = ["a"]
repositories = ["${name}"]
actions = ["push"]
[[grant]]
names = ["a"]
endpoints = ["chats"]
colour = "red"
`), "g")
	if err == nil {
		t.Fatal("no mistake")
	}
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		got = append(got, strings.Join(strings.SplitN(line, ": ", 3)[:2], ": "))
	}
	want := []string{
		`g:2: names`, `g:3: repositories`, `g:3: repositories`, `g:4: repositories`, `g:4: repositories`, `g:4: repositories`, `g:5: actions`,
		`g:6: grant`, `g:6: grant`, `g:8: grant`, `g:11: anonymous`, `g:11: anonymous`, `g:13: repositories`, `g:17: endpoints`, `g:18: unknown key "colour"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
}

func TestDescribe(t *testing.T) {
	g := parse(t, text)
	for name, want := range map[string][]string{
		"root": {
			"pull library/*, as everyone with an enrolled key may", "use the endpoints read of the Ollama server, as everyone with an enrolled key may",
			"pull, push, delete *", "list all repositories", "use the endpoints chat of the Ollama server", "use the endpoints delete of the Ollama server",
			"pull public, as everyone may", "pull users/x/*, as everyone may",
		},
		Anonymous: {"pull public, as everyone may", "pull users/x/*, as everyone may"},
	} {
		var got []string
		for _, grant := range g.For(name) {
			got = append(got, grant.Describe(name)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
	if got := g.For("alice")[0].Describe("alice"); got[0] != "pull, push users/alice/*" {
		t.Errorf("got %q", got)
	}
}

func TestLongestPattern(t *testing.T) {
	for pattern, ok := range map[string]bool{"${name}" + strings.Repeat("a", 254): true, "${name}" + strings.Repeat("a", 255): false} {
		if got := checkPattern(pattern); (got == "") != ok {
			t.Errorf("%d bytes: %q", len(pattern), got)
		}
	}
}

// FuzzRule08 holds that no scope is ever widened: each action that is granted was asked
// for, is in a grant of that name, and is none but the catalog's "*".
func FuzzRule08(f *testing.F) {
	f.Add("alice", "repository:users/alice/a:pull,push,delete repository:shared:* registry:catalog:*")
	f.Add("root", "repository:a:pull repository:a:push,* ollama:chat:call,x repository:a:b:pull")
	f.Add("", "repository:public:pull repository:users/x/../y:pull")
	f.Add("x", "repository(plugin):a:pull")
	g := parse(f, text)
	f.Fuzz(func(t *testing.T, name, scopes string) {
		asked := scope.Parse([]string{scopes})
		granted := g.Intersect(name, asked)
		for _, a := range granted {
			if len(a.Actions) == 0 {
				t.Errorf("%q: an access without an action", scopes)
			}
			for _, action := range a.Actions {
				whole := a.Type == scope.Repository && scope.Allows(asked, a.Type, a.Name, scope.All)
				if !scope.Allows(asked, a.Type, a.Name, action) && !whole {
					t.Errorf("%q asks for %q and gets %s", name, scopes, a)
				}
				if action == scope.All && (a.Type != scope.Registry || a.Name != "catalog") {
					t.Errorf("%q gets %s", name, a)
				}
				if !allowedBy(name, a.Type, a.Name, action) {
					t.Errorf("%q gets %s, which no grant has", name, a)
				}
			}
		}
		// Asking for the result gives the result.
		if diff := cmp.Diff(granted, g.Intersect(name, granted)); diff != "" {
			t.Errorf("%q: (-once +twice):\n%s", scopes, diff)
		}
	})
}

// allowedBy says in other words what the grants of text allow.
func allowedBy(name, kind, resource, action string) bool {
	below := func(prefix string) bool { return strings.HasPrefix(resource, prefix+"/") }
	pull, push := action == "pull", action == "push"
	switch kind {
	case "repository":
		return name == "root" && (pull || push || action == "delete") ||
			name == "alice" && (pull || push) && (below("users/alice") || resource == "shared" || resource == "team-alice") ||
			name == "a@b" && (pull || push) && resource == "shared" ||
			name != "" && pull && below("library") ||
			pull && (resource == "public" || below("users/x"))
	case "registry":
		return name == "root" && resource == "catalog" && action == "*"
	case "ollama":
		return action == "call" && (name != "" && resource == "read" || name == "root" && (resource == "chat" || resource == "delete"))
	}
	return false
}
