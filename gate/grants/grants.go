// Package grants decides what the owner of a key may do at a site.
//
// A file of grants is TOML, with a section for each grant:
//
//	[[grant]]
//	names = ["alice", "bob"]          # "*" is everyone with an enrolled key
//	repositories = ["users/${name}/*"]
//	actions = ["pull", "push"]
//
//	[[grant]]
//	anonymous = true                  # no key at all
//	repositories = ["public/*"]
//	actions = ["pull"]
//
//	[[grant]]
//	names = ["alice"]
//	catalog = true                    # the list of all repositories
//	endpoints = ["read", "chat"]      # of an Ollama server
//
// Grants only add up: nothing in the file takes away what another grant gives.
package grants

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/gate/authkeys"
	"github.com/countersign/countersign/gate/internal/tomlfile"
	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/internal/printable"
)

// Anonymous is the name of a client without a key. No key can have it.
const Anonymous = ""

// The groups of endpoints of an Ollama server. Package gate/ollama tells which
// endpoints are in each.
const (
	Read   = "read"   // the list of models, their details, the version
	Chat   = "chat"   // use a model
	Pull   = "pull"   // let the server fetch a model
	Push   = "push"   // let the server send a model to a registry
	Create = "create" // make, copy and upload models
	Delete = "delete" // delete models
)

// Groups are all groups of endpoints.
func Groups() []string { return []string{Read, Chat, Pull, Push, Create, Delete} }

// Grants is the content of a file. It does not change.
type Grants struct{ list []Grant }

// A Grant is a section of the file.
type Grant struct {
	Line         int
	Names        []string // "*" is every name
	Anonymous    bool
	Repositories []string // patterns
	Actions      []string
	Catalog      bool
	Endpoints    []string // groups
}

// All returns the grants in the order of the file.
func (g *Grants) All() []Grant {
	if g == nil {
		return nil
	}
	return g.list
}

// For returns the grants that hold for name.
func (g *Grants) For(name string) []Grant {
	var all []Grant
	for _, grant := range g.All() {
		if grant.holdsFor(name) {
			all = append(all, grant)
		}
	}
	return all
}

func (g Grant) holdsFor(name string) bool {
	if name == Anonymous {
		return g.Anonymous
	}
	return slices.Contains(g.Names, name) || slices.Contains(g.Names, "*") || g.Anonymous
}

// Intersect returns the part of requested that name may have. The action "*" on a
// repository asks for all actions, and the result has those that are granted by name.
func (g *Grants) Intersect(name string, requested []scope.Access) []scope.Access {
	grants := g.For(name)
	var granted []scope.Access
	for _, r := range requested {
		var actions []string
		for _, action := range expand(r) {
			if slices.ContainsFunc(grants, func(g Grant) bool { return g.allows(name, r.Type, r.Name, action) }) {
				actions = append(actions, action)
			}
		}
		if len(actions) > 0 {
			granted = append(granted, scope.Access{Type: r.Type, Name: r.Name, Actions: actions})
		}
	}
	return granted
}

// Allows reports whether name may do one action.
func (g *Grants) Allows(name, kind, resource, action string) bool {
	return len(g.Intersect(name, []scope.Access{{Type: kind, Name: resource, Actions: []string{action}}})) > 0
}

// AllowsEndpoint reports whether name may call the endpoints of a group.
func (g *Grants) AllowsEndpoint(name, group string) bool {
	return g.Allows(name, scope.Ollama, group, scope.Call)
}

func expand(r scope.Access) []string {
	if r.Type == scope.Repository && slices.Contains(r.Actions, scope.All) {
		return []string{scope.Pull, scope.Push, scope.Delete}
	}
	return r.Actions
}

func (g Grant) allows(name, kind, resource, action string) bool {
	switch kind {
	case scope.Repository:
		return action != scope.All && slices.Contains(g.Actions, action) && IsRepository(resource) &&
			slices.ContainsFunc(g.Repositories, func(p string) bool { return matches(p, name, resource) })
	case scope.Registry:
		return resource == "catalog" && action == scope.All && g.Catalog
	case scope.Ollama:
		return action == scope.Call && slices.Contains(g.Endpoints, resource)
	}
	return false
}

// Describe returns what g gives to name, a line for each thing.
func (g Grant) Describe(name string) []string {
	to := ""
	switch {
	case g.Anonymous:
		to = ", as everyone may"
	case slices.Contains(g.Names, "*") && !slices.Contains(g.Names, name):
		to = ", as everyone with an enrolled key may"
	}
	var lines []string
	for _, pattern := range g.Repositories {
		if name != Anonymous {
			pattern = strings.ReplaceAll(pattern, nameVariable, name)
		}
		lines = append(lines, strings.Join(g.Actions, ", ")+" "+pattern+to)
	}
	if g.Catalog {
		lines = append(lines, "list all repositories"+to)
	}
	for _, group := range g.Endpoints {
		lines = append(lines, "use the endpoints "+group+" of the Ollama server"+to)
	}
	return lines
}

// Parse reads a file of grants. The error is all mistakes joined, each a
// *tomlfile.Error with its line.
func Parse(data []byte, file string) (*Grants, error) {
	g := &Grants{}
	err := tomlfile.Read(data, file, func(root *tomlfile.Section) {
		for _, s := range root.Sections("grant") {
			g.list = append(g.list, readGrant(s))
		}
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

func readGrant(s *tomlfile.Section) Grant {
	g := Grant{Line: s.Line(""), Anonymous: s.Flag("anonymous"), Catalog: s.Flag("catalog")}
	g.Names = texts(s, "names", func(name string) string {
		if name != "*" && !authkeys.IsName(name) {
			return `want the name of a key's owner, or "*" for everyone with an enrolled key`
		}
		return ""
	})
	g.Repositories = texts(s, "repositories", checkPattern)
	g.Actions = texts(s, "actions", oneOf(scope.Pull, scope.Push, scope.Delete))
	g.Endpoints = texts(s, "endpoints", oneOf(Groups()...))
	if len(g.Names) == 0 && !g.Anonymous && !s.Has("names") {
		s.ErrorAt(g.Line, `grant: to whom? give names, or anonymous = true`)
	}
	if g.Anonymous && len(g.Names) > 0 {
		s.Errorf("anonymous", "a grant for everyone needs no names: write two grants")
	}
	if g.Anonymous && (g.Catalog || len(g.Endpoints) > 0 || slices.ContainsFunc(g.Actions, func(a string) bool { return a != scope.Pull })) {
		s.Errorf("anonymous", "clients without a key can pull from a registry, and nothing else")
	}
	if g.Anonymous && slices.ContainsFunc(g.Repositories, func(p string) bool { return strings.Contains(p, nameVariable) }) {
		s.Errorf("repositories", "a client without a key has no ${name}")
	}
	if s.Has("repositories") != s.Has("actions") {
		s.ErrorAt(g.Line, "grant: repositories and actions belong together")
	}
	if !s.Has("repositories") && !s.Has("endpoints") && !g.Catalog {
		s.ErrorAt(g.Line, "grant: it gives nothing: write repositories and actions, catalog or endpoints")
	}
	return g
}

func texts(s *tomlfile.Section, key string, check func(string) string) (all []string) {
	for _, t := range s.Texts(key) {
		if mistake := check(t.Value); mistake != "" {
			s.ErrorAt(t.Line, "%s: %s: %s", key, printable.Quote(t.Value), mistake)
			continue
		}
		all = append(all, t.Value)
	}
	return all
}

func oneOf(known ...string) func(string) string {
	return func(text string) string {
		if slices.Contains(known, text) {
			return ""
		}
		return fmt.Sprintf("known are %s", strings.Join(known, ", "))
	}
}
