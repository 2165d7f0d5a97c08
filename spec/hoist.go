package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// What a block with for_each evaluates ten thousand times had better not look at ten
// thousand things each time. So in a repeated block, every subexpression that does not
// mention each, count, self or a variable of a surrounding for is evaluated once: in
// index(keys(sandbox.web), each.key) the keys. And the functions that look something up in
// such a collection (index, contains, lookup) get an index of it.

// hoisted is the body with its expressions rewritten so, for one evaluation of all
// instances: the rewritten expressions keep values.
func (b *body) hoisted() *body {
	out := *b
	out.attrs = make(map[string]*argument, len(b.attrs))
	for name, a := range b.attrs {
		h := *a
		h.expr = hoist(a.expr)
		out.attrs[name] = &h
	}
	out.blocks = make([]*part, len(b.blocks))
	for i, p := range b.blocks {
		h := *p
		h.body = p.body.hoisted()
		out.blocks[i] = &h
	}
	out.where = b.ranges()
	return &out
}

// hoist rewrites an expression; those that are not in native syntax stay as they are.
func hoist(expr hcl.Expression) hcl.Expression {
	if native, ok := expr.(hclsyntax.Expression); ok {
		return (&hoister{bound: []string{"each", "count", "self"}}).rewrite(native)
	}
	return expr
}

// hoister knows the variables that differ between evaluations.
type hoister struct{ bound []string }

// invariant reports that the value of an expression is the same in every evaluation.
func (h *hoister) invariant(e hclsyntax.Expression) bool {
	return !slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool { return slices.Contains(h.bound, t.RootName()) })
}

// rewrite returns a copy of e in which invariant work is done once. It does not touch
// what it does not know.
func (h *hoister) rewrite(e hclsyntax.Expression) hclsyntax.Expression {
	if !costly(e) {
		return e
	}
	if h.invariant(e) {
		return &onceExpr{Expression: e}
	}
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		c := *e
		c.Expression = h.rewrite(e.Expression)
		return &c
	case *hclsyntax.TemplateExpr:
		c := *e
		c.Parts = h.rewriteAll(e.Parts)
		return &c
	case *hclsyntax.TemplateWrapExpr:
		c := *e
		c.Wrapped = h.rewrite(e.Wrapped)
		return &c
	case *hclsyntax.ConditionalExpr:
		c := *e
		c.Condition, c.TrueResult, c.FalseResult = h.rewrite(e.Condition), h.rewrite(e.TrueResult), h.rewrite(e.FalseResult)
		return &c
	case *hclsyntax.BinaryOpExpr:
		c := *e
		c.LHS, c.RHS = h.rewrite(e.LHS), h.rewrite(e.RHS)
		return &c
	case *hclsyntax.UnaryOpExpr:
		c := *e
		c.Val = h.rewrite(e.Val)
		return &c
	case *hclsyntax.IndexExpr:
		c := *e
		c.Collection, c.Key = h.rewrite(e.Collection), h.rewrite(e.Key)
		return &c
	case *hclsyntax.RelativeTraversalExpr:
		c := *e
		c.Source = h.rewrite(e.Source)
		return &c
	case *hclsyntax.TupleConsExpr:
		c := *e
		c.Exprs = h.rewriteAll(e.Exprs)
		return &c
	case *hclsyntax.ObjectConsExpr:
		c := *e
		c.Items = make([]hclsyntax.ObjectConsItem, len(e.Items))
		for i, item := range e.Items {
			c.Items[i] = hclsyntax.ObjectConsItem{KeyExpr: item.KeyExpr, ValueExpr: h.rewrite(item.ValueExpr)}
		}
		return &c
	case *hclsyntax.SplatExpr:
		c := *e
		c.Source = h.rewrite(e.Source)
		return &c
	case *hclsyntax.ForExpr:
		return h.rewriteFor(e)
	case *hclsyntax.FunctionCallExpr:
		c := *e
		c.Args = h.rewriteAll(e.Args)
		return h.lookups(&c, e)
	}
	return e
}

func (h *hoister) rewriteAll(list []hclsyntax.Expression) []hclsyntax.Expression {
	out := make([]hclsyntax.Expression, len(list))
	for i, e := range list {
		out[i] = h.rewrite(e)
	}
	return out
}

// rewriteFor rewrites a for expression, inside which its variables differ too.
func (h *hoister) rewriteFor(e *hclsyntax.ForExpr) hclsyntax.Expression {
	inner := &hoister{bound: append(slices.Clone(h.bound), e.KeyVar, e.ValVar)}
	c := *e
	c.CollExpr, c.ValExpr = h.rewrite(e.CollExpr), inner.rewrite(e.ValExpr)
	if e.KeyExpr != nil {
		c.KeyExpr = inner.rewrite(e.KeyExpr)
	}
	if e.CondExpr != nil {
		c.CondExpr = inner.rewrite(e.CondExpr)
	}
	return &c
}

// costly reports that evaluating e is more than following references.
func costly(e hclsyntax.Expression) bool {
	found := false
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n.(type) {
		case *hclsyntax.FunctionCallExpr, *hclsyntax.ForExpr, *hclsyntax.SplatExpr:
			found = true
		}
		return nil
	})
	return found
}

// onceExpr is an expression that is evaluated once. It is evaluated when it is needed, so
// that what stands behind a condition fails only where the condition holds.
type onceExpr struct {
	hclsyntax.Expression
	done  bool
	val   cty.Value
	diags hcl.Diagnostics
	// index finds the elements of the value, for lookups.
	index map[string]int
	// indexed says that index was tried; it stays nil if the value has none.
	indexed bool
}

// Value evaluates the expression the first time.
func (e *onceExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if !e.done {
		e.val, e.diags = e.Expression.Value(ctx)
		e.done = true
	}
	return e.val, e.diags
}

// UnwrapExpression lets static analysis see what was written.
func (e *onceExpr) UnwrapExpression() hcl.Expression { return e.Expression }

// positions are the elements of a list of strings by value (the first of equal ones), or
// the keys of a map or object; nil if the value is something else.
func (e *onceExpr) positions(ctx *hcl.EvalContext) map[string]int {
	if e.indexed {
		return e.index
	}
	e.indexed = true
	v, diags := e.Value(ctx)
	if diags.HasErrors() || v.IsMarked() || v.IsNull() || !v.IsKnown() || !v.CanIterateElements() {
		return nil
	}
	index, i := map[string]int{}, 0
	keyed := v.Type().IsObjectType() || v.Type().IsMapType()
	for it := v.ElementIterator(); it.Next(); i++ {
		k, elem := it.Element()
		if keyed {
			elem = k
		}
		if elem.IsMarked() || elem.Type() != cty.String || elem.IsNull() || !elem.IsKnown() {
			return nil
		}
		if _, seen := index[elem.AsString()]; !seen {
			index[elem.AsString()] = i
		}
	}
	e.index = index
	return index
}

// lookupExpr is a call of index, contains or lookup in a collection that stays the same.
type lookupExpr struct {
	*hclsyntax.FunctionCallExpr
	in *onceExpr
}

// lookups makes a lookupExpr of a call, if it is one.
func (h *hoister) lookups(call, original *hclsyntax.FunctionCallExpr) hclsyntax.Expression {
	switch call.Name {
	case "index", "contains", "lookup":
	default:
		return call
	}
	if len(call.Args) < 2 || call.ExpandFinal || !h.invariant(original.Args[0]) {
		return call
	}
	in, ok := call.Args[0].(*onceExpr)
	if !ok {
		in = &onceExpr{Expression: call.Args[0]}
		call.Args[0] = in
	}
	return &lookupExpr{call, in}
}

// Value looks the key up, and leaves all that is not plain to the function itself.
func (e *lookupExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	whole := func() (cty.Value, hcl.Diagnostics) { return e.FunctionCallExpr.Value(ctx) }
	index := e.in.positions(ctx)
	if index == nil {
		return whole()
	}
	key, diags := e.Args[1].Value(ctx)
	if diags.HasErrors() || key.IsMarked() || key.Type() != cty.String || key.IsNull() || !key.IsKnown() {
		return whole()
	}
	i, found := index[key.AsString()]
	keyed := e.in.val.Type().IsObjectType() || e.in.val.Type().IsMapType()
	switch {
	case e.Name == "contains" && !keyed:
		return cty.BoolVal(found), diags
	case e.Name == "index" && !keyed && found && !e.in.val.Type().IsSetType():
		return cty.NumberIntVal(int64(i)), diags
	case e.Name == "lookup" && e.in.val.Type().IsMapType() && found:
		v, more := hcl.Index(e.in.val, key, nil)
		return v, append(diags, more...)
	}
	return whole()
}
