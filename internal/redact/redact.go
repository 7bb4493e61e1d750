// Package redact removes secrets from text that a server sent: a server may repeat a
// token or a signature in its answer, and the answer ends in an error or a log.
package redact

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// removed stands where a secret was.
	removed = "[removed]"

	// minPart is how many letters and digits of a secret, one after the other, count
	// as a part of it. A shorter run is too often an ordinary word.
	minPart = 8

	// maxText bounds the text in which secrets are looked for, in bytes.
	maxText = 8 << 10
)

// Text returns text with "[removed]" in place of each secret and of each part of a
// secret. It finds them in any case, with the escapes of URLs, JSON, HTML and Go, in
// base64 and in hexadecimal, quoted, cut short and broken into lines: it compares
// letters and digits only, after decoding. It cuts a text of more than 8 KiB.
func Text(text string, secrets []string) string {
	text = text[:min(len(text), maxText)]
	found := lettersOf(text)
	secret := make([]bool, len(found))
	index := indexParts(found)
	for _, value := range secrets {
		for _, form := range encodings(value) {
			markParts(secret, index, form)
		}
		markWords(secret, found, lettersOf(value))
	}
	return replaceMarked(text, found, secret)
}

// A letter is a letter or digit of a text, in lower case, with the bytes of the
// text that stand for it: three for "%41".
type letter struct {
	char       byte
	start, end int
}

func lettersOf(text string) []letter {
	var letters []letter
	for i := 0; i < len(text); {
		r, size := decodeEscape(text[i:])
		if r < utf8.RuneSelf && isAlphanumeric(byte(r)) {
			letters = append(letters, letter{lowerCase(byte(r)), i, i + size})
		}
		i += size
	}
	return letters
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func lowerCase(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func charsOf(letters []letter) string {
	chars := make([]byte, len(letters))
	for i, l := range letters {
		chars[i] = l.char
	}
	return string(chars)
}

// decodeEscape returns the first character of text, which is not empty, and the
// bytes that stand for it.
func decodeEscape(text string) (r rune, size int) {
	switch text[0] {
	case '%':
		return decodePercent(text)
	case '\\':
		return decodeBackslash(text)
	case '&':
		return decodeEntity(text)
	}
	return utf8.DecodeRuneInString(text)
}

// decodePercent reads "%2B", and "%252B" for it.
func decodePercent(text string) (r rune, size int) {
	i := 1
	for strings.HasPrefix(text[i:], "25") {
		i += 2
	}
	if code, ok := parseHex(text, i, 2); ok {
		return code, i + 2
	}
	return '%', 1
}

// decodeBackslash reads the escapes of JSON and Go: "\u002b", "\x2b", "\n". Of
// others it skips the backslash.
func decodeBackslash(text string) (r rune, size int) {
	if len(text) == 1 {
		return '\\', 1
	}
	switch text[1] {
	case 'u':
		if code, ok := parseHex(text, 2, 4); ok {
			return code, 6
		}
	case 'x':
		if code, ok := parseHex(text, 2, 2); ok {
			return code, 4
		}
	case 'n', 'r', 't':
		return ' ', 2
	}
	return '\\', 1
}

// decodeEntity reads the escapes of HTML: "&#43;", "&#x2B;", "&amp;".
func decodeEntity(text string) (r rune, size int) {
	const longest = 10
	end := strings.IndexByte(text[:min(len(text), longest)], ';') + 1
	if end == 0 {
		return '&', 1
	}
	char := html.UnescapeString(text[:end])
	if r, size := utf8.DecodeRuneInString(char); size == len(char) {
		return r, end
	}
	return '&', 1
}

func parseHex(text string, start, digits int) (rune, bool) {
	if len(text) < start+digits {
		return 0, false
	}
	code, err := strconv.ParseUint(text[start:start+digits], 16, 32)
	return rune(code), err == nil
}

// encodings returns value as letters and digits, as it is and in the encodings
// that a server may use when it repeats it. In base64 a value has three forms,
// depending on the bytes before it.
func encodings(value string) []string {
	forms := []string{charsOf(lettersOf(value)), hex.EncodeToString([]byte(value))}
	for before := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + value))
		first := (before*8 + 5) / 6 // the characters that hold no bit of value alone
		last := len(strings.TrimRight(text, "="))
		if (before+len(value))%3 != 0 {
			last-- // it depends on the bytes after value
		}
		if first < last {
			forms = append(forms, charsOf(lettersOf(text[first:last])))
		}
	}
	return forms
}

// indexParts returns the positions of each run of minPart letters.
func indexParts(letters []letter) map[string][]int {
	chars := charsOf(letters)
	index := map[string][]int{}
	for i := 0; i+minPart <= len(chars); i++ {
		part := chars[i : i+minPart]
		index[part] = append(index[part], i)
	}
	return index
}

// markParts marks the letters of a text that are also in form, a secret. It removes
// each part that it finds from the index, so that no part is marked twice.
func markParts(secret []bool, index map[string][]int, form string) {
	for i := 0; i+minPart <= len(form); i++ {
		part := form[i : i+minPart]
		for _, at := range index[part] {
			for j := range minPart {
				secret[at+j] = true
			}
		}
		delete(index, part)
	}
}

// markWords marks a secret that is too short for markParts where it is a word of
// its own.
func markWords(secret []bool, found, short []letter) {
	n := len(short)
	if n == 0 || n >= minPart {
		return
	}
	chars, want := charsOf(found), charsOf(short)
	for i := 0; i+n <= len(chars); i++ {
		startsWord := i == 0 || found[i-1].end != found[i].start
		endsWord := i+n == len(chars) || found[i+n-1].end != found[i+n].start
		if startsWord && endsWord && chars[i:i+n] == want {
			for j := range n {
				secret[i+j] = true
			}
		}
	}
}

// replaceMarked replaces each run of marked letters. A run ends at a few letters
// that are not marked: fewer are the rest of an encoding that is not known here.
func replaceMarked(text string, letters []letter, secret []bool) string {
	var b strings.Builder
	done := 0 // bytes of text
	for i := 0; i < len(letters); i++ {
		if !secret[i] {
			continue
		}
		last := i
		for j := i + 1; j < len(letters) && j-last <= minPart/2; j++ {
			if secret[j] {
				last = j
			}
		}
		b.WriteString(text[done:letters[i].start] + removed)
		done = letters[last].end
		i = last
	}
	b.WriteString(text[done:])
	return b.String()
}
