package misplaced

import (
	"slices"
	"strings"
)

// minLong is the least length of a line that may belong to a key without its BEGIN
// line. The lines of PEM have 64 or 70 characters.
const minLong = 60

// find returns the parts of text that may be private keys: seeds of Ed25519 in hex
// or base64, with or without the public key behind them; the lines of PEM, and
// other long base64.
func find(text string) []string {
	inPEM := strings.Contains(text, "PRIVATE KEY")
	var keys []string
	for _, run := range strings.FieldsFunc(text, func(r rune) bool { return !isBase64(r) }) {
		for part := range strings.SplitSeq(run, "=") {
			keys = append(keys, findHex(part)...)
			isPublic := strings.HasPrefix(part, "AAAA") // the wire format of SSH begins with a length
			if !isPublic {
				keys = append(keys, findSeeds(part)...)
			}
			if inPEM && len(part) >= fragment || len(part) >= minLong && !isPublic && isRandom(part) {
				keys = append(keys, part)
			}
		}
	}
	return withoutDigests(text, keys)
}

// maxGlued is the number of letters and digits that may be glued to a seed, on one side
// of it, as in "env:x" + seed. It is less than the rest of a digest in hex.
const maxGlued = 16

// findHex finds seeds in hex.
func findHex(part string) []string {
	var keys []string
	for _, digits := range strings.FieldsFunc(part, func(r rune) bool { return !isHex(r) }) {
		if len(digits) >= 64 {
			keys = append(keys, digits)
		}
	}
	return keys
}

// findSeeds finds seeds in base64. The part may be longer than the seed: flags, paths
// and URLs consist of the characters of base64, too.
func findSeeds(part string) []string {
	var keys []string
	for i := range part {
		for _, size := range []int{43, 86} { // of 32 and 64 bytes, without padding
			end := i + size
			if end <= len(part) && isSeparate(part, i, end) && isRandom(part[i:end]) && !hasDigest(part[i:end]) {
				keys = append(keys, part[i:end])
			}
		}
	}
	return keys
}

// hasDigest reports whether s has so many digits in hex in a row as base64 of random
// bytes never has.
func hasDigest(s string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(s, func(r rune) bool { return !isHex(r) }), func(digits string) bool { return len(digits) >= 32 })
}

// isSeparate reports whether part[start:end] begins and ends where a word does, or has
// at most maxGlued letters and digits more on one side.
func isSeparate(part string, start, end int) bool {
	before, after := start, end
	for before > 0 && isAlphanumeric(part[before-1]) {
		before--
	}
	for after < len(part) && isAlphanumeric(part[after]) {
		after++
	}
	before, after = start-before, after-end
	return min(before, after) == 0 && max(before, after) <= maxGlued
}

// withoutDigests leaves out the fingerprints of public keys and the names of
// blobs, which look like seeds.
func withoutDigests(text string, found []string) []string {
	var keys []string
	for _, key := range found {
		before := strings.ToLower(text[:strings.Index(text, key)])
		if !strings.HasSuffix(strings.TrimRight(before, ":-"), "sha256") && !strings.HasSuffix(strings.TrimRight(before, ":-"), "sha512") {
			keys = append(keys, key)
		}
	}
	return keys
}

// isRandom tells base64 of random bytes from words and paths. Of two characters
// side by side, one is a digit, a small or a capital letter and the other is not: in
// 58 % of the pairs of random base64, and in less than 20 % of those of a path.
func isRandom(s string) bool {
	changes := 0
	for i := 1; i < len(s); i++ {
		if a, b := kind(s[i-1]), kind(s[i]); a != b && a != other && b != other {
			changes++
		}
	}
	return changes*10 >= len(s)*3
}

const (
	other = iota
	lower
	upper
	digit
)

func kind(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return lower
	case 'A' <= c && c <= 'Z':
		return upper
	case '0' <= c && c <= '9':
		return digit
	}
	return other
}

// isBase64 knows the characters of both alphabets and the padding.
func isBase64(r rune) bool {
	return r < 0x80 && isAlphanumeric(byte(r)) || strings.ContainsRune("+/-_=", r)
}

func isAlphanumeric(c byte) bool { return kind(c) != other }

func isHex(r rune) bool { return strings.ContainsRune("0123456789abcdefABCDEF", r) }
