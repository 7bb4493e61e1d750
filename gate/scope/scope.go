// Package scope reads the scopes of token requests, and has the access list of tokens.
//
// Grammar: distribution's docs/content/spec/auth/scope.md and jwt.md.
package scope

import (
	"slices"
	"strings"
)

// The types of resources that the gate grants access to.
const (
	Repository = "repository"
	Registry   = "registry" // its only resource is the catalog
	Ollama     = "ollama"   // the resources are groups of endpoints
)

// The actions on repositories, and the one on a group of endpoints.
const (
	Pull   = "pull"
	Push   = "push"
	Delete = "delete"
	All    = "*"
	Call   = "call"
)

// maxResources is the number of resources that one request can ask for.
const maxResources = 100

// An Access is a resource with the actions on it. Its JSON is an element of the access
// claim of a token.
type Access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// String returns the access as a scope.
func (a Access) String() string { return a.Type + ":" + a.Name + ":" + strings.Join(a.Actions, ",") }

// Allows reports whether one of list has the action on the resource.
func Allows(list []Access, kind, name, action string) bool {
	return slices.ContainsFunc(list, func(a Access) bool {
		return a.Type == kind && a.Name == name && slices.Contains(a.Actions, action)
	})
}

// Parse reads the values of the parameter scope: each has any number of scopes between
// spaces, "type:name:action,action". A name may have colons. Actions on one resource
// are joined, in the order of their first appearance. A scope of another form asks for
// nothing that can be granted: Parse leaves it out. So does Parse with the resources
// after the first hundred.
func Parse(values []string) []Access {
	var list []Access
	for _, text := range strings.Fields(strings.Join(values, " ")) {
		a, ok := parse(text)
		if !ok {
			continue
		}
		i := slices.IndexFunc(list, func(b Access) bool { return b.Type == a.Type && b.Name == a.Name })
		if i < 0 {
			if len(list) == maxResources {
				continue
			}
			list = append(list, Access{a.Type, a.Name, nil})
			i = len(list) - 1
		}
		for _, action := range a.Actions {
			if action != "" && !slices.Contains(list[i].Actions, action) {
				list[i].Actions = append(list[i].Actions, action)
			}
		}
	}
	return slices.DeleteFunc(list, func(a Access) bool { return len(a.Actions) == 0 })
}

func parse(text string) (Access, bool) {
	kind, rest, ok := strings.Cut(text, ":")
	last := strings.LastIndexByte(rest, ':')
	if !ok || kind == "" || last <= 0 || last == len(rest)-1 {
		return Access{}, false
	}
	return Access{kind, rest[:last], strings.Split(rest[last+1:], ",")}, true
}
