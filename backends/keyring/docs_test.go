package keyring_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docsFile = "../../docs/keychain.md"

func readDocs(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// writeTable replaces what is between the table's marks.
func writeTable(t *testing.T, docs, table string) {
	t.Helper()
	const begin, end = "<!-- states: made by TestStates -->\n", "<!-- end of states -->"
	before, rest, found := strings.Cut(docs, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table of states", docsFile)
	}
	if err := os.WriteFile(docsFile, []byte(before+begin+table+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocsHaveEachTopic compares the topics of errors with the headings of the
// page.
func TestDocsHaveEachTopic(t *testing.T) {
	topics := regexp.MustCompile(`(?:explain\([\w.]+, \w+, |damaged\([\w.]+, |noAnswer\([\w.\[\]{}()]+, |topic:? :?=? ?)"([a-z0-9-]+)"`)
	named := map[string]bool{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range topics.FindAllStringSubmatch(string(data), -1) {
			named[match[1]] = true
		}
	}
	headings := map[string]bool{}
	_, cures, _ := strings.Cut(readDocs(t), "\n## Errors and their cures\n")
	for _, match := range regexp.MustCompile(`(?m)^### ([\w-]+)$`).FindAllStringSubmatch(cures, -1) {
		headings[match[1]] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(headings))); diff != "" {
		t.Errorf("topics of errors, and headings of docs/keychain.md (-topics +headings):\n%s", diff)
	}
}
