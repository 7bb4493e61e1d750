// Package spelling finds the known name that a misspelt name is a slip for.
package spelling

import "slices"

// maxBytes bounds the names that are compared. A longer name may be a key.
const maxBytes = 40

// Nearest returns the known name that name is probably a slip for, or "".
func Nearest(name string, known []string) string {
	if len(name) > maxBytes {
		return ""
	}
	best, least := "", 3
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if len(best) <= least {
		return "" // hardly a letter is the same
	}
	return best
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
