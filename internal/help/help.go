// Package help has the help topics of the command: the pages in docs/ and their
// sections. A topic is the name of a page, such as "keychain", or of a section, such
// as "keychain#no-bus".
package help

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/countersign/countersign/docs"
)

// sections are the topics that have a name of their own.
var sections = map[string]string{
	"environment": "command#environment-variables",
	"exit-codes":  "command#exit-codes",
}

// A Topic is the name of a page or section and its title.
type Topic struct{ Name, Title string }

// Topics returns the pages and the sections with a name of their own, sorted by name.
func Topics() []Topic {
	var topics []Topic
	names, _ := fs.Glob(docs.Pages, "*.md") // the pattern is well formed
	for _, name := range names {
		name = strings.TrimSuffix(name, ".md")
		topics = append(topics, Topic{name, headings(page(name))[0].title})
	}
	for name, target := range sections {
		if _, section, err := find(target); err == nil {
			topics = append(topics, Topic{name, section.title})
		}
	}
	slices.SortFunc(topics, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return topics
}

// Text returns the text of a topic in Markdown. A link to a page or a section is the
// command that shows it, because a user of the binary has no such file. The error
// names the topics or sections that exist.
func Text(name string) (string, error) {
	if target, ok := sections[name]; ok {
		name = target
	}
	lines, section, err := find(name)
	if err != nil {
		return "", err
	}
	text := strings.Join(lines[section.start:section.end], "\n")
	topic, _, _ := strings.Cut(name, "#")
	text = samePage.ReplaceAllString(text, "](countersign help "+topic+"$1)")
	text = otherPage.ReplaceAllString(text, "](countersign help $1$2)")
	return strings.TrimSpace(text) + "\n", nil
}

// samePage matches the end of a link to a section of the same page, otherPage that of
// a link to another page.
var (
	samePage  = regexp.MustCompile(`\]\((#[^)]+)\)`)
	otherPage = regexp.MustCompile(`\]\(([a-z-]+)\.md(#[^)]+)?\)`)
)

// find returns the lines of the page that name belongs to, and its section.
func find(name string) ([]string, heading, error) {
	topic, anchor, hasAnchor := strings.Cut(name, "#")
	lines := page(topic)
	if lines == nil {
		return nil, heading{}, errors.New("no such topic: countersign help lists the topics")
	}
	if !hasAnchor {
		return lines, heading{end: len(lines)}, nil
	}
	all := headings(lines)
	var anchors []string
	for _, h := range all {
		if h.anchor == anchor {
			return lines, h, nil
		}
		anchors = append(anchors, h.anchor)
	}
	return nil, heading{}, fmt.Errorf("the topic %s has no such section; it has: %s", topic, strings.Join(anchors, ", "))
}

// page returns the lines of a page, or nil if there is none of that name.
func page(name string) []string {
	data, err := docs.Pages.ReadFile(name + ".md")
	if err != nil {
		return nil
	}
	return strings.Split(comment.ReplaceAllString(string(data), ""), "\n")
}

// comment matches the comments, which are for the tests of the pages.
var comment = regexp.MustCompile(`(?s)<!--.*?-->\n?`)

// A heading begins a section, which ends before the next heading of its level.
type heading struct {
	level         int
	title, anchor string
	start, end    int // lines
}

// headings returns the headings of a page in order.
func headings(lines []string) []heading {
	var all []heading
	code := false
	for i, line := range lines {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		m := headingLine.FindStringSubmatch(line)
		if code || m == nil {
			continue
		}
		for k := range all {
			if all[k].end == len(lines) && all[k].level >= len(m[1]) {
				all[k].end = i
			}
		}
		all = append(all, heading{len(m[1]), m[2], anchorOf(m[2]), i, len(lines)})
	}
	return all
}

var (
	headingLine = regexp.MustCompile(`^(#+) +(.+)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchorOf returns the name of a heading in links.
func anchorOf(title string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}
