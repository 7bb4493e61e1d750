package grants

import (
	"regexp"
	"strings"
)

// nameVariable stands for the name of the key's owner in a pattern.
const nameVariable = "${name}"

// The name of a repository, as distribution's reference/regexp.go has it.
var repositoryPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)

const maxRepository = 255

// IsRepository reports whether name can be the name of a repository.
func IsRepository(name string) bool {
	return len(name) <= maxRepository && repositoryPattern.MatchString(name)
}

// checkPattern returns the mistake in a pattern: want a repository, "*", or a prefix
// that ends in "/*". A segment may be ${name}.
func checkPattern(pattern string) string {
	if pattern == "*" {
		return ""
	}
	name := strings.TrimSuffix(strings.ReplaceAll(pattern, nameVariable, "x"), "/*")
	if !IsRepository(name) {
		return `want the name of a repository, "*" for all, or "prefix/*"; ${name} stands for the name of the key's owner`
	}
	return ""
}

// matches reports whether pattern includes repository for the owner called name.
// "prefix/*" includes all repositories below prefix, at any depth, and not prefix
// itself. "*" includes all.
func matches(pattern, name, repository string) bool {
	pattern = strings.ReplaceAll(pattern, nameVariable, name)
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(repository, prefix)
	}
	return pattern == repository
}
