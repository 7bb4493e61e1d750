package config

import (
	"slices"
	"strconv"
	"strings"
)

// longestShown bounds the names that errors repeat: what is longer may be a key.
const longestShown = 40

// suggest returns what to say after an unknown name: the known one that was
// probably meant, or else all.
func suggest(name string, known []string) string {
	slices.Sort(known)
	best, least := "", 3
	for _, k := range known {
		if len(name) > longestShown {
			break
		}
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best != "" && len(best) > least {
		return ": did you mean " + strconv.Quote(best) + "?"
	}
	return ": known are " + strings.Join(known, ", ")
}

// distance counts the letters to insert, remove, replace, or swap with the next:
// optimal string alignment.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := 1
			if a[i-1] == b[j-1] {
				replaced = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// quote returns a name as errors show it.
func quote(name string) string {
	if len(name) > longestShown {
		return "(" + strconv.Itoa(len(name)) + " bytes)"
	}
	return strconv.Quote(name)
}
