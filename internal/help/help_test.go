package help_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/help"
)

func TestTopics(t *testing.T) {
	names := map[string]bool{}
	for _, topic := range help.Topics() {
		names[topic.Name] = true
		text, err := help.Text(topic.Name)
		if err != nil || topic.Title == "" || !strings.Contains(text, topic.Title) || strings.Contains(text, "<!--") {
			t.Errorf("%s, %q: %v\n%s", topic.Name, topic.Title, err, text)
		}
	}
	for _, name := range []string{"keychain", "configuration", "environment", "exit-codes", "headless"} {
		if !names[name] {
			t.Errorf("no topic %s", name)
		}
	}
}

func TestSection(t *testing.T) {
	text, err := help.Text("keychain#no-bus")
	if err != nil || !strings.HasPrefix(text, "### no-bus\n") || strings.Count(text, "\n#") != 0 {
		t.Errorf("%v\n%s", err, text)
	}
	text, err = help.Text("keychain#prompts") // has a section of its own
	if err != nil || !strings.HasPrefix(text, "## Prompts\n") || strings.Contains(text, "\n## ") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestLinksAreCommands wants that each link of a topic to another topic is a command
// that works, because a user of the binary has no pages.
func TestLinksAreCommands(t *testing.T) {
	link := regexp.MustCompile(`\]\(countersign help ([^)]+)\)`)
	count := 0
	for _, topic := range help.Topics() {
		text, err := help.Text(topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`\]\((#|[^):/]+\.md)[^)]*\)`).FindString(text); m != "" {
			t.Errorf("%s has a link to a file: %s", topic.Name, m)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			count++
			if _, err := help.Text(m[1]); err != nil {
				t.Errorf("%s names the topic %q: %v", topic.Name, m[1], err)
			}
		}
	}
	if count < 20 {
		t.Errorf("the topics have %d links", count)
	}
	text, err := help.Text("keychain#no-bus")
	if err != nil || !strings.Contains(text, "countersign help keychain#headless)") {
		t.Errorf("a section lacks its links: %v\n%s", err, text)
	}
}

func TestUnknownTopics(t *testing.T) {
	for name, want := range map[string]string{
		"nosuch":          "countersign help lists the topics",
		"":                "countersign help lists the topics",
		"../README":       "countersign help lists the topics",
		"keychain#nosuch": "no-bus",
		"keychain#":       "no-bus",
	} {
		if text, err := help.Text(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q\n%s", name, err, want, text)
		}
	}
}

// TestCodeNamesTopics wants a topic for each one that the code names in a hint or in
// a message.
func TestCodeNamesTopics(t *testing.T) {
	named := regexp.MustCompile("(?:See: +\"|countersign help )([a-z-]+(?:#[a-z0-9-]+)?)")
	count := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			count++
			if _, err := help.Text(m[1]); err != nil && m[1] != "key" && m[1] != "lists" { // a command, a verb
				t.Errorf("%s names the topic %q: %v", path, m[1], err)
			}
		}
		return err
	})
	if err != nil || count < 5 {
		t.Errorf("%d topics are named, %v", count, err)
	}
}
