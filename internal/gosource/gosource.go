// Package gosource takes functions out of the source of a module, so that a test can
// compile those that the module does not export.
package gosource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Source is a parsed package.
type Source struct {
	fset    *token.FileSet
	decls   map[string]declaration   // by name, without methods
	methods map[string][]declaration // by the name of the receiver's type
	inits   []declaration
}

type declaration struct {
	ast.Decl
	file *ast.File
}

// Load reads the package in dir, without its tests. Of a declaration that differs
// between systems, it takes the one for this system.
func Load(dir string) (*Source, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	s := &Source{token.NewFileSet(), map[string]declaration{}, map[string][]declaration{}, nil}
	var others []string
	for _, name := range names {
		fits, err := build.Default.MatchFile(dir, filepath.Base(name))
		switch {
		case err != nil:
			return nil, err
		case strings.HasSuffix(name, "_test.go"):
		case !fits:
			others = append(others, name)
		default:
			err = s.parse(name)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range others {
		if err := s.parse(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Names returns the names of the exported declarations, without methods.
func (s *Source) Names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.decls)), func(name string) bool { return !token.IsExported(name) })
}

func (s *Source) parse(name string) error {
	file, err := parser.ParseFile(s.fset, name, nil, 0)
	if err != nil {
		return err
	}
	for _, decl := range file.Decls {
		s.add(declaration{decl, file})
	}
	return nil
}

// add adds d unless its name is there already.
func (s *Source) add(d declaration) {
	switch decl := d.Decl.(type) {
	case *ast.FuncDecl:
		switch {
		case decl.Recv != nil:
			s.addMethod(receiver(decl), d)
		case decl.Name.Name == "init":
			s.inits = append(s.inits, d)
		default:
			s.addName(decl.Name, d)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.addName(spec.Name, d)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					s.addName(name, d)
				}
			}
		}
	}
}

func (s *Source) addName(name *ast.Ident, d declaration) {
	if _, ok := s.decls[name.Name]; !ok {
		s.decls[name.Name] = d
	}
}

func (s *Source) addMethod(receiver string, d declaration) {
	name := func(d declaration) string { return d.Decl.(*ast.FuncDecl).Name.Name }
	if !slices.ContainsFunc(s.methods[receiver], func(m declaration) bool { return name(m) == name(d) }) {
		s.methods[receiver] = append(s.methods[receiver], d)
	}
}

// receiver returns the name of the type that method belongs to.
func receiver(method *ast.FuncDecl) string {
	t := method.Recv.List[0].Type
	if pointer, ok := t.(*ast.StarExpr); ok {
		t = pointer.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return "" // a generic type: no test needs one
}

// Extract returns the code of a package with the function root and with all
// declarations that it needs.
func (s *Source) Extract(pkg, root string) (string, error) {
	used, err := s.closure(root)
	if err != nil {
		return "", err
	}
	return s.print(pkg, used)
}

// ExtractFiles returns the same for several functions, one text for each file that
// they come from, because two files may import two packages under one name.
func (s *Source) ExtractFiles(pkg string, roots ...string) (map[string]string, error) {
	used, err := s.closure(roots...)
	if err != nil {
		return nil, err
	}
	byFile := map[string][]declaration{}
	for _, d := range used {
		name := filepath.Base(s.fset.Position(d.file.Pos()).Filename)
		byFile[name] = append(byFile[name], d)
	}
	files := map[string]string{}
	for name, decls := range byFile {
		if files[name], err = s.print(pkg, decls); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// closure returns the functions roots and all declarations that they need.
func (s *Source) closure(roots ...string) ([]declaration, error) {
	used := map[ast.Decl]declaration{}
	for _, root := range roots {
		if _, ok := s.decls[root]; !ok {
			return nil, fmt.Errorf("no function %s: this version of the peer differs", root)
		}
		s.use(used, s.decls[root])
	}
	for _, init := range s.inits {
		for name := range idents(init) {
			if d, ok := s.decls[name]; ok && used[d.Decl].Decl != nil {
				s.use(used, init)
			}
		}
	}
	return slices.Collect(maps.Values(used)), nil
}

func (s *Source) print(pkg string, decls []declaration) (string, error) {
	imports := map[string]bool{}
	var body bytes.Buffer
	for _, d := range decls {
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
	return head + "\n" + body.String(), nil
}

// use adds d, the methods of its types, and then the declarations that these
// mention.
func (s *Source) use(used map[ast.Decl]declaration, d declaration) {
	if _, ok := used[d.Decl]; ok {
		return
	}
	used[d.Decl] = d
	for _, name := range types(d) {
		for _, method := range s.methods[name] {
			s.use(used, method)
		}
	}
	for name := range idents(d) {
		if next, ok := s.decls[name]; ok {
			s.use(used, next)
		}
	}
}

// types returns the names of the types that d declares.
func types(d declaration) []string {
	decl, ok := d.Decl.(*ast.GenDecl)
	if !ok {
		return nil
	}
	var names []string
	for _, spec := range decl.Specs {
		if t, ok := spec.(*ast.TypeSpec); ok {
			names = append(names, t.Name.Name)
		}
	}
	return names
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

// majorVersion matches the end of an import path such as math/rand/v2.
var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// importsOf returns the imports of its file that d needs, as Go code.
func importsOf(d declaration) []string {
	names := idents(d)
	var imports []string
	for _, spec := range d.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(p)
		if majorVersion.MatchString(name) {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if names[name] {
			imports = append(imports, name+" "+spec.Path.Value)
		}
	}
	return imports
}

// ModuleDir returns where go keeps a module: one that go.mod requires, or that
// of a version, which it downloads.
func ModuleDir(module string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", err
	}
	return m.Dir, nil
}
