package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/spelling"
)

// longestShown is the length of the longest name that an error repeats. A longer text
// may be a key.
const longestShown = 40

// suggest returns the end of an error about an unknown name: the name that the user
// probably meant, or else all names.
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
