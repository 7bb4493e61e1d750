package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A pkg is a package with syntax trees and types.
type pkg struct {
	fset     *token.FileSet
	path     string
	files    []*ast.File
	names    []string // absolute, of files
	info     *types.Info
	importer types.Importer
}

// listed is the description of a package by go list.
type listed struct {
	ImportPath string
	Dir        string
	Export     string
	GoFiles    []string
}

// load reads and checks the packages in the named directories, which may be in several
// modules.
func load(root string, dirs []string) (map[string]*pkg, error) {
	byModule := map[string][]string{}
	for _, dir := range dirs {
		module := moduleOf(root, filepath.Join(root, filepath.FromSlash(dir)))
		byModule[module] = append(byModule[module], filepath.Join(root, filepath.FromSlash(dir)))
	}
	exports := map[string]string{}
	byDir := map[string]listed{}
	for module, dirs := range byModule {
		if err := list(module, dirs, exports, byDir); err != nil {
			return nil, err
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	packages := map[string]*pkg{}
	for _, dir := range dirs {
		p := &pkg{fset: fset, importer: imports}
		if err := p.parse(byDir[filepath.Join(root, filepath.FromSlash(dir))]); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		packages[dir] = p
	}
	return packages, nil
}

// moduleOf returns the directory of the module that dir is in: root or one below it.
func moduleOf(root, dir string) string {
	for dir != root {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return root
}

// list adds the packages in dirs, and all that they import, to exports and byDir.
func list(module string, dirs []string, exports map[string]string, byDir map[string]listed) error {
	args := []string{"list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles", "fmt", "os", "sync"} // the latter for switchCode
	cmd := exec.Command("go", append(args, dirs...)...)
	cmd.Dir, cmd.Stderr = module, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := d.Decode(&l); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		exports[l.ImportPath] = l.Export
		byDir[l.Dir] = l
	}
}

func (p *pkg) parse(l listed) error {
	p.path = l.ImportPath
	for _, name := range l.GoFiles {
		name = filepath.Join(l.Dir, name)
		f, err := parser.ParseFile(p.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p.files, p.names = append(p.files, f), append(p.names, name)
	}
	p.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}
	return p.check(p.files, p.info)
}

func (p *pkg) check(files []*ast.File, info *types.Info) error {
	_, err := (&types.Config{Importer: p.importer}).Check(p.path, p.fset, files, info)
	return err
}

// fileName returns the absolute name of t's file, which is one of p's.
func (p *pkg) fileName(t target) string {
	i := slices.IndexFunc(p.names, func(name string) bool { return filepath.Base(name) == path.Base(t.file) })
	return p.names[i]
}

// packageName returns the name in the package clause.
func (p *pkg) packageName() string { return p.files[0].Name.Name }

// checkWith returns the first error of the compiler when source stands in place of the
// named file and more stands beside it.
func (p *pkg) checkWith(name string, source []byte, more ...string) error {
	files := slices.Clone(p.files)
	f, err := parser.ParseFile(p.fset, name, source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	defer p.fset.RemoveFile(p.fset.File(f.Pos()))
	files[slices.Index(p.names, name)] = f
	for _, text := range more {
		f, err := parser.ParseFile(p.fset, "more.go", text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		defer p.fset.RemoveFile(p.fset.File(f.Pos()))
		files = append(files, f)
	}
	return p.check(files, nil)
}

func (p *pkg) checkWithSwitches(name string, source []byte) error {
	return p.checkWith(name, source, fmt.Sprintf(switchCode, p.packageName()))
}

func (p *pkg) compilesWithSwitches(name string, source []byte) bool {
	return p.checkWithSwitches(name, source) == nil
}
