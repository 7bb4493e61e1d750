package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// visit adds the mutants of one node. Texts of errors are left alone.
func (g *generator) visit(n ast.Node) {
	if g.isInErrorText() {
		return
	}
	switch n := n.(type) {
	case *ast.IfStmt:
		if !g.isPassedOn(n) {
			g.condition(n.Cond)
		}
	case *ast.ForStmt:
		if n.Cond != nil {
			g.force(n.Cond, false)
		}
		g.onlyOnce(n.Body)
	case *ast.RangeStmt:
		g.onlyOnce(n.Body)
	case *ast.SwitchStmt:
		g.switchCases(n.Tag != nil, n.Body)
	case *ast.TypeSwitchStmt:
		g.switchCases(true, n.Body)
	case *ast.BinaryExpr:
		g.binary(n)
	case *ast.ReturnStmt:
		g.returned(n)
	case *ast.ExprStmt, *ast.DeferStmt, *ast.GoStmt, *ast.IncDecStmt, *ast.SendStmt:
		g.statement(n.(ast.Stmt))
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			g.statement(n)
		}
	case *ast.CompositeLit:
		g.elements(n)
	case *ast.CallExpr:
		g.call(n)
	case *ast.BasicLit:
		g.literal(n)
	case *ast.Ident:
		g.boolean(n)
	case *ast.ValueSpec:
		g.limit(n)
	}
}

// isInErrorText reports whether the visited node is an argument of a function that
// makes an error or a text.
func (g *generator) isInErrorText() bool {
	for _, p := range g.parents {
		call, ok := p.(*ast.CallExpr)
		if !ok {
			continue
		}
		switch types.ExprString(call.Fun) {
		case "fmt.Errorf", "errors.New", "fmt.Fprintf", "fmt.Sprintf":
			return true
		}
	}
	return false
}

// condition forces e to both values. A check of an error is forced only to pass:
// every test of the normal case notices the other.
func (g *generator) condition(e ast.Expr) {
	if g.isConstant(e) {
		return
	}
	g.force(e, false)
	if !g.isErrorCheck(e) {
		g.force(e, true)
	}
}

// isErrorCheck reports whether e is err != nil.
func (g *generator) isErrorCheck(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op == token.NEQ && g.isError(g.typeOf(b.X))
}

// isPassedOn reports whether n does nothing but pass an error on. The mutant that
// returns nil there is enough.
func (g *generator) isPassedOn(n *ast.IfStmt) bool {
	if !g.isErrorCheck(n.Cond) || len(n.Body.List) != 1 {
		return false
	}
	r, ok := n.Body.List[0].(*ast.ReturnStmt)
	return ok && g.returnsError(r)
}

func (g *generator) returnsError(r *ast.ReturnStmt) bool {
	return len(r.Results) > 0 && g.isError(g.typeOf(r.Results[len(r.Results)-1]))
}

func (g *generator) isError(t types.Type) bool {
	return t != nil && types.Implements(t, types.Universe.Lookup("error").Type().Underlying().(*types.Interface))
}

// onlyOnce ends a loop after its first round.
func (g *generator) onlyOnce(body *ast.BlockStmt) {
	end := body.Rbrace
	g.add(body, end, end, mutant{text: "; break\n", change: fmt.Sprintf("loop over `%s` ends after one round", g.text(body)), form: insertion})
}

// switchCases drops each expression of each case. In a switch without a tag the
// expressions are conditions.
func (g *generator) switchCases(hasTag bool, body *ast.BlockStmt) {
	for _, s := range body.List {
		clause := s.(*ast.CaseClause)
		for i, e := range clause.List {
			switch {
			case !hasTag:
				g.condition(e)
			case len(clause.List) == 1:
				g.leaveOut(clause, clause.Pos(), clause.End(), fmt.Sprintf("`case %s` is removed", g.text(e)))
			case i == 0:
				g.leaveOut(e, e.Pos(), clause.List[1].Pos(), fmt.Sprintf("`%s` is removed from a case", g.text(e)))
			default:
				g.leaveOut(e, clause.List[i-1].End(), e.End(), fmt.Sprintf("`%s` is removed from a case", g.text(e)))
			}
		}
	}
}

func (g *generator) binary(n *ast.BinaryExpr) {
	if g.isConstant(n) {
		return
	}
	operator := func(op string) { g.replace(n, g.raw(n.X)+" "+op+" "+g.raw(n.Y)) }
	switch n.Op {
	case token.LAND: // an operand that is always true does not count
		g.force(n.X, true)
		g.force(n.Y, true)
	case token.LOR:
		g.force(n.X, false)
		g.force(n.Y, false)
	case token.LSS:
		operator("<=")
	case token.LEQ:
		operator("<")
	case token.GTR:
		operator(">=")
	case token.GEQ:
		operator(">")
	case token.SUB:
		operator("+")
	case token.AND:
		operator("|")
	case token.ADD:
		if types.Identical(g.typeOf(n).Underlying(), types.Typ[types.String]) {
			g.replace(n, g.raw(n.X))
			g.replace(n, g.raw(n.Y))
		} else {
			operator("-")
		}
	}
}

// returned swallows an error, and forces a condition to both values.
func (g *generator) returned(n *ast.ReturnStmt) {
	for i, e := range n.Results {
		t := g.typeOf(e)
		switch {
		case g.isConstant(e), types.Identical(t, types.Typ[types.UntypedNil]):
		case types.Identical(t.Underlying(), types.Typ[types.Bool]):
			g.force(e, false)
			g.force(e, true)
		case i == len(n.Results)-1 && g.isError(t):
			from := n.Pos()
			before := string(g.source[g.offset(from):g.offset(e.Pos())])
			text := "{ if false { _ = " + g.raw(e) + " }; " + before + "nil }"
			change := fmt.Sprintf("`%s` becomes `%s nil`", g.text(n), brief(before))
			g.add(n, from, n.End(), mutant{text: text, change: change, form: statement})
		}
	}
}

// statement removes a statement that stands in a block of its own right.
func (g *generator) statement(n ast.Stmt) {
	switch g.parent().(type) {
	case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
		g.remove(n)
	}
}

// elements drops each field of a struct and each element of a list, except texts
// for people.
func (g *generator) elements(n *ast.CompositeLit) {
	for i, e := range n.Elts {
		if isForPeople(e) {
			continue
		}
		from, to := e.Pos(), e.End()
		switch {
		case i+1 < len(n.Elts):
			to = n.Elts[i+1].Pos()
		case i > 0:
			from = n.Elts[i-1].End()
		}
		g.leaveOut(e, from, to, fmt.Sprintf("`%s` is left out", g.text(e)))
		if _, isKeyed := e.(*ast.KeyValueExpr); isKeyed {
			continue
		}
		if _, isStruct := g.typeOf(n).Underlying().(*types.Struct); isStruct && !g.isConstant(e) {
			g.replace(e, zero(g.typeOf(e)))
		}
	}
}

// zero returns an expression for the zero value of t.
func zero(t types.Type) string {
	basic, ok := t.Underlying().(*types.Basic)
	switch {
	case !ok:
		return "nil"
	case basic.Info()&types.IsString != 0:
		return `""`
	case basic.Info()&types.IsBoolean != 0:
		return "false"
	}
	return "0"
}

// call leaves out a conversion or a change of a value: f(x) and x.f() become x. It
// also swaps min and max.
func (g *generator) call(n *ast.CallExpr) {
	name := types.ExprString(n.Fun)
	if rest := strings.TrimPrefix(g.raw(n), name); name == "min" || name == "max" {
		g.replace(n, map[string]string{"min": "max", "max": "min"}[name]+rest)
	}
	var operand ast.Expr
	if method, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) == 0 {
		operand = method.X
	} else if len(n.Args) > 0 {
		operand = n.Args[0]
	}
	if operand != nil && !g.isConstant(operand) && g.typeOf(n) != nil && types.Identical(g.typeOf(n), g.typeOf(operand)) && name != "append" {
		g.replace(n, g.raw(operand))
	}
}

// literal changes the numbers and texts on which decisions depend.
func (g *generator) literal(n *ast.BasicLit) {
	switch {
	case n.Kind == token.STRING && len(n.Value) > len(`""`) && g.decidesByText(n):
		g.replace(n, `"mutant"`)
	case n.Kind == token.INT && strings.HasPrefix(n.Value, "0o"):
		g.mode(n)
	case n.Kind == token.INT && n.Value != "0" && n.Value != "1" && !g.isInLimit():
		g.replace(n, "("+n.Value+" + 1)")
	}
}

// decidesByText reports whether text, the visited node, is compared, searched for or the
// name of a header or parameter.
func (g *generator) decidesByText(text *ast.BasicLit) bool {
	switch parent := g.parent().(type) {
	case *ast.BinaryExpr, *ast.CaseClause, *ast.ValueSpec, *ast.IndexExpr:
		return true
	case *ast.CompositeLit:
		return !isForPeople(text)
	case *ast.CallExpr:
		method, ok := parent.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		switch method.Sel.Name {
		case "Add", "Set", "Get", "Has", "Del":
			return true
		}
		return types.ExprString(method.X) == "strings"
	}
	return false
}

// isForPeople reports whether e is a text with spaces, or a field with such a text.
func isForPeople(e ast.Expr) bool {
	if field, ok := e.(*ast.KeyValueExpr); ok {
		e = field.Value
	}
	text, ok := e.(*ast.BasicLit)
	return ok && text.Kind == token.STRING && strings.Contains(text.Value, " ")
}

// mode gives and takes permissions of a file.
func (g *generator) mode(n *ast.BasicLit) {
	value := 0
	fmt.Sscanf(n.Value, "0o%o", &value)
	for _, other := range []int{value | 0o044, value &^ 0o070, value &^ 0o007} {
		if other != value {
			g.replace(n, fmt.Sprintf("0o%03o", other))
		}
	}
}

// limit doubles and halves a constant number.
func (g *generator) limit(n *ast.ValueSpec) {
	for _, e := range n.Values {
		if g.isNumber(e) {
			g.replace(e, "(2 * ("+g.raw(e)+"))")
			g.replace(e, "(("+g.raw(e)+") / 2)")
		}
	}
}

func (g *generator) isNumber(e ast.Expr) bool {
	basic, ok := g.typeOf(e).Underlying().(*types.Basic)
	return ok && g.isConstant(e) && basic.Info()&types.IsInteger != 0
}

// isInLimit reports whether the visited node belongs to a constant number with a
// name, which limit changes.
func (g *generator) isInLimit() bool {
	for _, p := range g.parents {
		if spec, ok := p.(*ast.ValueSpec); ok && len(spec.Values) == 1 && g.isNumber(spec.Values[0]) {
			return true
		}
	}
	return false
}

// boolean swaps true and false.
func (g *generator) boolean(n *ast.Ident) {
	if r, ok := g.parent().(*ast.ReturnStmt); ok && g.returnsError(r) {
		return // the error counts
	}
	if value := g.pkg.info.Uses[n]; value != nil && value.Parent() == types.Universe {
		switch n.Name {
		case "true":
			g.replace(n, "false")
		case "false":
			g.replace(n, "true")
		}
	}
}
