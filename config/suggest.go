package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/spelling"
)

// longestShown bounds the names that errors repeat: what is longer may be a key.
const longestShown = 40

// suggest returns what to say after an unknown name: the known one that was
// probably meant, or else all.
func suggest(name string, known []string) string {
	if best := spelling.Nearest(name, known); best != "" {
		return ": did you mean " + strconv.Quote(best) + "?"
	}
	slices.Sort(known)
	return ": known are " + strings.Join(known, ", ")
}

// quote returns a name as errors show it.
func quote(name string) string {
	if len(name) > longestShown {
		return "(" + strconv.Itoa(len(name)) + " bytes)"
	}
	return strconv.Quote(name)
}
