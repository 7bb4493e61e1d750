package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

func (c check) found(s state, seen, do string) finding { return finding{s, c.name, c.about, seen, do} }

// page is where an error says that the documentation has its cure.
var page = regexp.MustCompile(` ?\((docs/[a-z-]+\.md(?:#[a-z0-9-]+)?)\)`)

// failed makes a finding of an error, whose text may say what to do as well.
func (c check) failed(s state, err error) finding {
	if do := hintLine(err); do != "" {
		return c.found(s, err.Error(), do)
	}
	seen, do, _ := strings.Cut(err.Error(), ": run: ")
	if do != "" {
		do = "run: " + do
	}
	if see := page.FindStringSubmatch(seen); see != nil {
		seen, do = page.ReplaceAllString(seen, ""), cmp.Or(do, "see "+see[1])
	}
	return c.found(s, seen, do)
}

func count(found []finding, s state) int {
	n := 0
	for _, f := range found {
		if f.State == s {
			n++
		}
	}
	return n
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
