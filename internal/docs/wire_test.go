package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWireFormats wants challenge/wire.go and challenge/helpersecret.go to have a section
// for each heading of docs/wire-formats.md, in the same order, and in each section a
// function that the page names.
func TestWireFormats(t *testing.T) {
	page := readPages(t)[filepath.Join(root, "docs", "wire-formats.md")]
	var want []string
	text := map[string]string{} // of the page, by heading
	for _, part := range strings.Split(page, "\n## ")[1:] {
		heading, rest, _ := strings.Cut(part, "\n")
		want = append(want, heading)
		text[heading] = rest
	}
	var got []string
	named := map[string]bool{}
	for _, file := range []string{"wire.go", "helpersecret.go"} {
		got = append(got, sections(t, filepath.Join(root, "challenge", file), text, named)...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("headings of docs/wire-formats.md (-) and sections of the code (+):\n%s", diff)
	}
	for _, heading := range want {
		if !named[heading] {
			t.Errorf("docs/wire-formats.md names no function of the code under the heading %q", heading)
		}
	}
}

// sections returns the sections of a file in their order, and adds to named each
// section with a function that its part of the page names.
func sections(t *testing.T, path string, text map[string]string, named map[string]bool) []string {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var starts []token.Pos
	for _, comment := range f.Comments {
		if name, ok := strings.CutPrefix(strings.TrimSpace(comment.Text()), "Section: "); ok {
			all, starts = append(all, name), append(starts, comment.Pos())
		}
	}
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		section := ""
		for i, start := range starts {
			if start < d.Pos() {
				section = all[i]
			}
		}
		if section == "" {
			t.Errorf("%s: %s is in no section", files.Position(d.Pos()), d.Name.Name)
		}
		if regexp.MustCompile("`(challenge\\.)?" + d.Name.Name + "`").MatchString(text[section]) {
			named[section] = true
		}
	}
	return all
}
