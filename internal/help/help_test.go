package help_test

import (
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
