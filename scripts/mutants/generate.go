package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// generateAll returns the mutants of all targets in the order of the table, one of
// every sample.
func generateAll(root string, targets []target, sample int) (*population, error) {
	var dirs []string
	for _, t := range targets {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(t.file))); err != nil {
			return nil, fmt.Errorf("the table in scripts/mutants/targets.go names a file that is missing: %w", err)
		}
		dirs = append(dirs, path.Dir(t.file))
	}
	slices.Sort(dirs)
	packages, err := load(root, slices.Compact(dirs))
	if err != nil {
		return nil, err
	}
	all := &population{ids: map[string]bool{}}
	for _, t := range targets {
		p := packages[path.Dir(t.file)]
		i := slices.Index(p.names, filepath.Join(root, filepath.FromSlash(t.file)))
		if i < 0 {
			return nil, fmt.Errorf("%s is not part of the build on this system", t.file)
		}
		if err := generate(all, t, p, i, sample); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A population is the mutants of some files.
type population struct {
	ids     map[string]bool // of all, also of those that do not compile
	mutants []mutant        // that are in the sample and compile
}

// generate adds the mutants of the file at index i of p.
func generate(all *population, t target, p *pkg, i, sample int) error {
	source, err := os.ReadFile(p.names[i])
	if err != nil {
		return err
	}
	g := &generator{population: all, target: t, pkg: p, file: i, source: source, sample: sample}
	for _, decl := range p.files[i].Decls {
		g.function = functionName(decl)
		ast.PreorderStack(decl, nil, func(n ast.Node, parents []ast.Node) bool {
			g.parents = parents
			g.visit(n)
			return true
		})
	}
	return nil
}

func functionName(decl ast.Decl) string {
	f, ok := decl.(*ast.FuncDecl)
	if !ok {
		return ""
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	return strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*") + "." + f.Name.Name
}

// A generator adds the mutants of one file to a population.
type generator struct {
	*population
	target   target
	pkg      *pkg
	file     int // index in pkg
	source   []byte
	function string     // that is visited
	parents  []ast.Node // of the visited node, outermost first
	sample   int
}

// replace adds the mutant that has text in place of n.
func (g *generator) replace(n ast.Node, text string) {
	g.add(n, n.Pos(), n.End(), text, fmt.Sprintf("`%s` becomes `%s`", g.text(n), brief(text)))
}

// force adds the mutant in which condition e always has the given value. The
// condition stays in the text, or its variables might be unused.
func (g *generator) force(e ast.Expr, value bool) {
	text := "(false && (" + g.raw(e) + "))"
	if value {
		text = "(true || (" + g.raw(e) + "))"
	}
	g.add(e, e.Pos(), e.End(), text, fmt.Sprintf("`%s` becomes `%v`", g.text(e), value))
}

// remove adds the mutant without the statement n, which stays in the text so that
// its variables are used.
func (g *generator) remove(n ast.Stmt) {
	g.add(n, n.Pos(), n.End(), "if false { "+g.raw(n)+" }", fmt.Sprintf("`%s` is removed", g.text(n)))
}

// add adds the mutant that has text between from and to, if it is in the sample and
// compiles. A mutant that reads like an earlier one gets a number.
func (g *generator) add(n ast.Node, from, to token.Pos, text, change string) {
	m := mutant{target: g.target, function: g.function, change: change}
	for k := 2; g.ids[m.id()]; k++ {
		m.change = fmt.Sprintf("%s (number %d)", change, k)
	}
	g.ids[m.id()] = true
	if !m.inSample(g.sample) {
		return
	}
	m.line = g.pkg.fset.File(n.Pos()).Line(n.Pos())
	m.source = slices.Concat(g.source[:g.offset(from)], []byte(text), g.source[g.offset(to):])
	if g.pkg.compiles(g.file, m.source) {
		g.mutants = append(g.mutants, m)
	}
}

func (g *generator) offset(p token.Pos) int { return g.pkg.fset.File(p).Offset(p) }

// raw returns the source text of n.
func (g *generator) raw(n ast.Node) string {
	return string(g.source[g.offset(n.Pos()):g.offset(n.End())])
}

// text returns the source text of n on one short line.
func (g *generator) text(n ast.Node) string { return brief(g.raw(n)) }

func brief(text string) string {
	const maxLength = 100
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "`", "'")
	if len(text) > maxLength {
		return strings.ToValidUTF8(text[:maxLength], "") + "..."
	}
	return text
}

func (g *generator) typeOf(e ast.Expr) types.Type { return g.pkg.info.TypeOf(e) }

// isConstant reports whether the compiler knows the value of e.
func (g *generator) isConstant(e ast.Expr) bool { return g.pkg.info.Types[e].Value != nil }

// parent returns the node around the visited one.
func (g *generator) parent() ast.Node {
	if len(g.parents) == 0 {
		return nil
	}
	return g.parents[len(g.parents)-1]
}
