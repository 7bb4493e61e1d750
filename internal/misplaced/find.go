package misplaced

import "strings"

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
		keys = append(keys, findInRun(run)...)
		for _, part := range strings.Split(run, "=") {
			isPublic := strings.HasPrefix(part, "AAAA") // the wire format of SSH begins with a length
			if inPEM && len(part) >= fragment || len(part) >= minLong && !isPublic && isRandom(part) {
				keys = append(keys, part)
			}
		}
	}
	return withoutDigests(text, keys)
}

// findInRun finds seeds in a run of characters of base64. The run may be longer than
// the seed: flags, paths and URLs consist of such characters, too.
func findInRun(run string) []string {
	var keys []string
	for _, part := range strings.FieldsFunc(run, func(r rune) bool { return !isHex(r) }) {
		if len(part) >= 64 {
			keys = append(keys, part)
		}
	}
	for i := range run {
		isFlag := i > 1 && run[i-2] == '-' // one letter with its value, as in -oFILE
		if i > 0 && isAlphanumeric(run[i-1]) && !isFlag {
			continue
		}
		for _, size := range []int{43, 86} { // of 32 and 64 bytes, without padding
			end := i + size
			if end <= len(run) && (end == len(run) || !isAlphanumeric(run[end])) && isRandom(run[i:end]) {
				keys = append(keys, run[i:end])
			}
		}
	}
	return keys
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
