package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestPlacesToChange wants each Go file that docs/where-to-change.md links to declare
// the name in the link.
func TestPlacesToChange(t *testing.T) {
	page := filepath.Join(root, "docs", "where-to-change.md")
	places := regexp.MustCompile("\\[`([A-Za-z.]+)`\\]\\(([^)]+\\.go)\\)").FindAllStringSubmatch(readPages(t)[page], -1)
	if len(places) < 10 {
		t.Fatalf("%s names %d places in the code", page, len(places))
	}
	for _, place := range places {
		name, file := place[1], filepath.Join(filepath.Dir(page), place[2])
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Contains(declared(f), name) {
			t.Errorf("%s says that %s declares %s, which it does not", page, place[2], name)
		}
	}
}

// declared returns the names that f declares; a method's as Type.Method.
func declared(f *ast.File) []string {
	var names []string
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names = append(names, receiver(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
