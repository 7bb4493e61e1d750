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

// TestWireFormats wants challenge/wire.go to have a section for each heading of
// docs/wire-formats.md, in the same order, and in each section a function that the
// page names.
func TestWireFormats(t *testing.T) {
	page := pages(t)[filepath.Join(root, "docs", "wire-formats.md")]
	var want []string
	text := map[string]string{} // of the page, by heading
	for _, part := range strings.Split(page, "\n## ")[1:] {
		heading, rest, _ := strings.Cut(part, "\n")
		want = append(want, heading)
		text[heading] = rest
	}

	files := token.NewFileSet()
	f, err := parser.ParseFile(files, filepath.Join(root, "challenge", "wire.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var starts []token.Pos
	for _, comment := range f.Comments {
		if name, ok := strings.CutPrefix(strings.TrimSpace(comment.Text()), "Section: "); ok {
			got, starts = append(got, name), append(starts, comment.Pos())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("headings of docs/wire-formats.md (-) and sections of challenge/wire.go (+):\n%s", diff)
	}

	named := map[string]bool{}
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		section := ""
		for i, start := range starts {
			if start < d.Pos() {
				section = got[i]
			}
		}
		if section == "" {
			t.Errorf("%s: %s is in no section", files.Position(d.Pos()), d.Name.Name)
		}
		if regexp.MustCompile("`(challenge\\.)?" + d.Name.Name + "`").MatchString(text[section]) {
			named[section] = true
		}
	}
	for _, heading := range want {
		if !named[heading] {
			t.Errorf("docs/wire-formats.md names no function of challenge/wire.go under the heading %q", heading)
		}
	}
}
