package challenge

import (
	"slices"
	"strings"
)

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
