package config

import (
	"bytes"
	"slices"
)

// lines holds the offsets of the line breaks of a text, so that finding the line
// of an offset does not read the text again.
type lines []int

func linesOf(text []byte) lines {
	var l lines
	for offset := 0; ; {
		i := bytes.IndexByte(text[offset:], '\n')
		if i < 0 {
			return l
		}
		l = append(l, offset+i)
		offset += i + 1
	}
}

// number returns the number of the line with the byte at offset; the first is 1.
func (l lines) number(offset int) int {
	i, _ := slices.BinarySearch(l, offset)
	return i + 1
}

// text returns the line with the given number of the same text.
func (l lines) text(text []byte, number int) []byte {
	start, end := 0, len(text)
	if number > 1 {
		start = l[number-2] + 1
	}
	if number <= len(l) {
		end = l[number-1]
	}
	return text[start:end]
}
