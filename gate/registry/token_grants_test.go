package registry_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/signer"
)

const someGrants = `
[[grant]]
names = ["alice"]
repositories = ["users/${name}/*", "shared"]
actions = ["pull", "push"]
[[grant]]
names = ["*"]
repositories = ["library/*"]
actions = ["pull"]
[[grant]]
names = ["alice"]
catalog = true
endpoints = ["chat"]
[[grant]]
anonymous = true
repositories = ["public"]
actions = ["pull"]
`

func TestRule08_Intersection(t *testing.T) {
	g, alice := gatetest.Start(t, gatetest.Options{Grants: someGrants}), gatetest.NewKey(t)
	bob := gatetest.NewKey(t)
	g.Enrol(map[string]signer.Signer{"alice": alice, "bob": bob})
	for _, tt := range []struct {
		key    signer.Signer
		scopes []string
		want   string // "" is 403
	}{
		{alice, nil, "-"},
		{alice, []string{""}, "-"},
		{alice, []string{"repository:users/alice/a:pull,push"}, "repository:users/alice/a:pull,push"},
		{alice, []string{"repository:users/alice/a:pull,push,delete,x"}, "repository:users/alice/a:pull,push"},
		{alice, []string{"repository:users/alice/a:*"}, "repository:users/alice/a:pull,push"},
		{alice, []string{"repository:library/x:pull,push repository:shared:push"}, "repository:library/x:pull repository:shared:push"},
		{alice, []string{"repository:library/x:pull", "repository:users/bob/x:pull"}, "repository:library/x:pull"},
		{alice, []string{"registry:catalog:*"}, "registry:catalog:*"},
		{alice, []string{"ollama:chat:call"}, "ollama:chat:call"},
		{alice, []string{"repository:a/b:c/d:pull", "repository(plugin):shared:pull", "registry:catalog:x", "registry:other:*", "x", "a:b", "::"}, ""},
		{alice, []string{"repository:users/alice/../bob/x:pull"}, ""},
		{alice, []string{"repository:users/alice/:pull"}, ""},
		{alice, []string{"repository:users/alice:pull"}, ""},
		{alice, []string{"repository:Shared:pull"}, ""},
		{alice, []string{"repository:*:pull"}, ""},
		{bob, []string{"repository:users/bob/a:pull"}, ""},
		{bob, []string{"registry:catalog:*"}, ""},
		{bob, []string{"repository:public:pull,push"}, "repository:public:pull"},
	} {
		got := exchange(t, g, tt.key, tt.scopes...)
		if tt.want == "" {
			if got.status != 403 || got.Token != "" || got.Error == "" {
				t.Errorf("%q: got %+v, want 403 with a reason", tt.scopes, got)
			}
			continue
		}
		var list []string
		for _, a := range got.access(t) {
			list = append(list, a.String())
		}
		if text := strings.Join(list, " "); text != strings.Trim(tt.want, "-") {
			t.Errorf("%q: got %q, want %q", tt.scopes, text, tt.want)
		}
	}
	if got := exchange(t, g, bob, "repository:shared:pull"); got.Error != "bob has no grant for repository:shared:pull" {
		t.Errorf("the reason is %q", got.Error)
	}
	if got := exchange(t, g, bob, "repository:shared:pull repository:other:pull"); got.Error != "bob has no grant for repository:shared:pull and others" {
		t.Errorf("the reason is %q", got.Error)
	}
	for scope, want := range map[string]int{"repository:public:pull": 200, "repository:public:push": 401, "repository:shared:pull": 401, "": 200} {
		if got := ask(g, scope).send(t, g); got.status != want {
			t.Errorf("anonymous %q: got %+v, want %d", scope, got, want)
		}
	}
}

func TestRule08_OtherService(t *testing.T) {
	g, key := enrolled(t, gatetest.Options{})
	r := ask(g)
	r.query.Set("service", "other")
	if got := r.send(t, g, r.sign(t, key)); got.status != 400 {
		t.Errorf("got %+v, want 400", got)
	}
}
