package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A population is the mutants of some files.
type population struct {
	ids    map[string]bool // of all, also of those that do not compile
	groups []group
}

// A group is the mutants of one package that compile and are in the sample.
type group struct {
	pkg     *pkg
	mutants []mutant
}

// size returns the number of mutants.
func (p *population) size() (n int) {
	for _, g := range p.groups {
		n += len(g.mutants)
	}
	return n
}

// generateAll returns the mutants of all targets that are in s.
func generateAll(root string, targets []target, s sample) (*population, error) {
	byDir := map[string][]target{}
	for _, t := range targets {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(t.file))); err != nil {
			return nil, fmt.Errorf("the table in scripts/mutants/targets.go names a file that is missing: %w", err)
		}
		dir := path.Dir(t.file)
		byDir[dir] = append(byDir[dir], t)
	}
	dirs := slices.Sorted(maps.Keys(byDir))
	packages, err := load(root, dirs)
	if err != nil {
		return nil, err
	}
	all := &population{ids: map[string]bool{}}
	for _, dir := range dirs {
		of := group{pkg: packages[dir]}
		for _, t := range byDir[dir] {
			g := &generator{ids: all.ids, target: t, pkg: of.pkg, sample: s}
			if err := g.generate(filepath.Join(root, filepath.FromSlash(t.file))); err != nil {
				return nil, err
			}
			of.mutants = append(of.mutants, g.mutants...)
		}
		all.groups = append(all.groups, of)
	}
	return all, nil
}

// A generator collects the mutants of one file.
type generator struct {
	ids      map[string]bool
	target   target
	pkg      *pkg
	sample   sample
	name     string // of the file
	source   []byte
	function string     // that is visited
	parents  []ast.Node // of the visited node, outermost first
	mutants  []mutant
}

func (g *generator) generate(name string) error {
	i := slices.Index(g.pkg.names, name)
	if i < 0 {
		return fmt.Errorf("%s is not part of the build on this system", name)
	}
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	g.name, g.source = name, source
	for _, decl := range g.pkg.files[i].Decls {
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

// replace adds the mutant that has text in place of e.
func (g *generator) replace(e ast.Expr, text string) {
	g.replaceExpr(e, text, fmt.Sprintf("`%s` becomes `%s`", g.text(e), brief(text)))
}

// force adds the mutant in which condition e always has the given value. The
// condition stays in the text, or its variables might be unused.
func (g *generator) force(e ast.Expr, value bool) {
	text := "(false && (" + g.raw(e) + "))"
	if value {
		text = "(true || (" + g.raw(e) + "))"
	}
	g.replaceExpr(e, text, fmt.Sprintf("`%s` becomes `%v`", g.text(e), value))
}

func (g *generator) replaceExpr(e ast.Expr, text, change string) {
	m := mutant{text: text, change: change, form: expression, typ: g.spell(g.typeOf(e))}
	g.add(e, e.Pos(), e.End(), m)
}

// remove adds the mutant without the statement n, which stays in the text so that
// its variables are used.
func (g *generator) remove(n ast.Stmt) {
	g.add(n, n.Pos(), n.End(), mutant{
		text: "if false { " + g.raw(n) + " }", change: fmt.Sprintf("`%s` is removed", g.text(n)), form: statement,
	})
}

// leaveOut adds the mutant without the text between from and to.
func (g *generator) leaveOut(n ast.Node, from, to token.Pos, change string) {
	g.add(n, from, to, mutant{change: change})
}

// add adds m, which stands between from and to, if it is in the sample and compiles.
// A mutant that reads like an earlier one gets a number.
func (g *generator) add(n ast.Node, from, to token.Pos, m mutant) {
	m.target, m.function, m.original = g.target, g.function, g.source
	m.from, m.to, m.line = g.offset(from), g.offset(to), g.pkg.fset.Position(n.Pos()).Line
	change := m.change
	for k := 2; g.ids[m.id()]; k++ {
		m.change = fmt.Sprintf("%s (number %d)", change, k)
	}
	g.ids[m.id()] = true
	if g.sample.has(m) && g.pkg.checkWith(g.name, m.source()) == nil {
		g.mutants = append(g.mutants, m)
	}
}

// spell returns t as the visited file may write it.
func (g *generator) spell(t types.Type) string {
	if t == nil {
		return ""
	}
	return types.TypeString(types.Default(t), func(other *types.Package) string {
		if other.Path() == g.pkg.path {
			return ""
		}
		return other.Name()
	})
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
