package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// A source is a package of which a part is wanted.
type source struct {
	fset  *token.FileSet
	decls map[string]declaration // by name; methods are left out
	inits []declaration
}

type declaration struct {
	ast.Decl
	file *ast.File
}

// load reads the package in dir, without its tests.
func load(dir string) (*source, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	s := &source{token.NewFileSet(), map[string]declaration{}, nil}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.fset, name, nil, 0)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			s.add(declaration{decl, file})
		}
	}
	return s, nil
}

func (s *source) add(d declaration) {
	switch decl := d.Decl.(type) {
	case *ast.FuncDecl:
		if decl.Name.Name == "init" {
			s.inits = append(s.inits, d)
		} else if decl.Recv == nil {
			s.decls[decl.Name.Name] = d
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.decls[spec.Name.Name] = d
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					s.decls[name.Name] = d
				}
			}
		}
	}
}

// extract returns a package with the function root, everything that it refers
// to, and what initialises that.
func (s *source) extract(pkg, root string) (string, error) {
	if _, ok := s.decls[root]; !ok {
		return "", fmt.Errorf("no function %s: this version has another parser", root)
	}
	used := map[ast.Decl]declaration{}
	s.use(used, s.decls[root])
	for _, init := range s.inits {
		for name := range idents(init) {
			if d, ok := s.decls[name]; ok && used[d.Decl].Decl != nil {
				s.use(used, init)
			}
		}
	}
	imports := map[string]bool{}
	var body bytes.Buffer
	for _, d := range used {
		for _, i := range importsOf(d) {
			imports[i] = true
		}
		if err := printer.Fprint(&body, s.fset, d.Decl); err != nil {
			return "", err
		}
		body.WriteString("\n\n")
	}
	head := "package " + pkg + "\n\n"
	for i := range imports {
		head += "import " + i + "\n"
	}
	return head + body.String(), nil
}

// use adds d and, in turn, what it refers to.
func (s *source) use(used map[ast.Decl]declaration, d declaration) {
	if _, ok := used[d.Decl]; ok {
		return
	}
	used[d.Decl] = d
	for name := range idents(d) {
		if next, ok := s.decls[name]; ok {
			s.use(used, next)
		}
	}
}

// idents returns the names in d, without those of fields and methods.
func idents(d declaration) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(d.Decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			names[n.Name] = true
		case *ast.SelectorExpr:
			ast.Inspect(n.X, func(n ast.Node) bool {
				if ident, ok := n.(*ast.Ident); ok {
					names[ident.Name] = true
				}
				return true
			})
			return false
		}
		return true
	})
	return names
}

// importsOf returns what d needs of its file's imports, as Go code.
func importsOf(d declaration) []string {
	names := idents(d)
	var imports []string
	for _, spec := range d.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if names[name] {
			imports = append(imports, name+" "+spec.Path.Value)
		}
	}
	return imports
}
