package docs_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDesktopErrors wants docs/desktop.md to have a sentence for each error that an app
// can meet.
func TestDesktopErrors(t *testing.T) {
	page := readPages(t)[filepath.Join(root, "docs", "desktop.md")]
	exported := regexp.MustCompile(`^Err[A-Z]\w*$`)
	found := 0
	for _, name := range []string{"signer", "signin", "challenge"} {
		files, err := filepath.Glob(filepath.Join(root, name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range declared(f) {
				if !exported.MatchString(decl) {
					continue
				}
				found++
				if !strings.Contains(page, "`"+name+"."+decl+"`") {
					t.Errorf("docs/desktop.md has no sentence for %s.%s", name, decl)
				}
			}
		}
	}
	if found < 12 {
		t.Errorf("found %d errors only: correct this test", found)
	}
}

// TestDesktopNamesNoCommand wants no command that the users of an app do not have.
func TestDesktopNamesNoCommand(t *testing.T) {
	page := readPages(t)[filepath.Join(root, "docs", "desktop.md")]
	if command := regexp.MustCompile("`countersign [a-z]+|\\$ countersign").FindString(page); command != "" {
		t.Errorf("docs/desktop.md names the command %q", command)
	}
}

// TestDesktopNamesTests wants the tests that docs/desktop.md names to be there.
func TestDesktopNamesTests(t *testing.T) {
	page := readPages(t)[filepath.Join(root, "docs", "desktop.md")]
	var declaredTests []string
	for _, dir := range []string{"signin", "backends/keyring"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			declaredTests = append(declaredTests, declared(f)...)
		}
	}
	named := regexp.MustCompile("`(Test[A-Z]\\w*)`").FindAllStringSubmatch(page, -1)
	if len(named) < 5 {
		t.Errorf("docs/desktop.md names %d tests", len(named))
	}
	for _, m := range named {
		if !strings.Contains(strings.Join(declaredTests, "\n")+"\n", m[1]+"\n") {
			t.Errorf("docs/desktop.md names %s, which is not there", m[1])
		}
	}
}
