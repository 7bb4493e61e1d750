package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/guard"
)

// blocks returns what a page shows in that language.
func blocks(language, page string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

// The page's files load, and its JSON is what a test holds.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	files := blocks("toml", page)
	if len(files) == 0 {
		t.Error("no files on the page")
	}
	for _, file := range files {
		if _, err := config.Parse([]byte(file), "docs/configuration.md"); err != nil {
			t.Errorf("%v\nin\n%s", err, file)
		}
	}
	want, err := os.ReadFile("testdata/taken.json")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(blocks("json", page), string(want)) {
		t.Error("the page's JSON is not testdata/taken.json")
	}
	// Every key has a row in a table.
	for _, key := range []string{"keys", "realms", "insecure", "stores", "timeout", "prompt_timeout", "folder", "passphrase", "purposes", "program", "environment", "helper", "helper_lifetime"} {
		if !strings.Contains(page, "\n| `"+key+"` |") {
			t.Errorf("no row for %s", key)
		}
	}
	for _, purpose := range guard.Purposes() {
		if !strings.Contains(page, "`"+string(purpose)+"`") {
			t.Errorf("the purpose %s is not on the page", purpose)
		}
	}
	for _, ref := range []string{"env:OLLAMA_KEY", "keyring:ollama", "file:~/.ollama/id_ed25519"} {
		if !strings.Contains(page, "`"+ref+"`") {
			t.Errorf("%s of the built-in order is not on the page", ref)
		}
	}
}
