package spec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// explainValue adds to the evaluator's messages what it cannot know: what could have been
// meant.
func explainValue(d *hcl.Diagnostic) {
	switch d.Summary {
	case "Unsupported attribute", "Invalid index":
		explainTraversal(d)
	case "Call to unknown function":
		explainFunction(d)
	}
}

// explainFunction suggests the nearest function, the same on every run.
func explainFunction(d *hcl.Diagnostic) {
	call, ok := d.Expression.(*hclsyntax.FunctionCallExpr)
	if !ok {
		return
	}
	for ctx := d.EvalContext; ctx != nil; ctx = ctx.Parent() {
		if ctx.Functions == nil {
			continue
		}
		hint := didYouMean(call.Name, sortedNames(ctx.Functions), "")
		if hint == "" {
			hint = " The language reference lists those that there are."
		}
		d.Detail = fmt.Sprintf("There is no function named %q.%s", call.Name, hint)
		return
	}
}

// explainTraversal finds the step of a reference that fails, and says what there is.
func explainTraversal(d *hcl.Diagnostic) {
	expr, ok := d.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || d.EvalContext == nil {
		return
	}
	val, ok := lookupName(d.EvalContext, expr.Traversal.RootName())
	if !ok {
		return
	}
	for n, step := range expr.Traversal[1:] {
		next, diags := step.TraversalStep(val)
		if diags.HasErrors() {
			explainStep(d, expr.Traversal[:n+1], step, val)
			return
		}
		val = next
	}
}

// lookupName is the value of a root name in a context or its parents.
func lookupName(ctx *hcl.EvalContext, name string) (cty.Value, bool) {
	for ; ctx != nil; ctx = ctx.Parent() {
		if v, ok := ctx.Variables[name]; ok {
			return v, true
		}
	}
	return cty.NilVal, false
}

// explainStep says why a step into a value fails.
func explainStep(d *hcl.Diagnostic, so hcl.Traversal, step hcl.Traverser, val cty.Value) {
	name := ""
	switch s := step.(type) {
	case hcl.TraverseAttr:
		name = s.Name
	case hcl.TraverseIndex:
		if s.Key.Type() != cty.String || s.Key.IsNull() {
			explainNumber(d, so, s, val)
			return
		}
		name = s.Key.AsString()
	}
	val, _ = val.Unmark()
	if val.IsNull() || !val.IsKnown() {
		return
	}
	what := traversalText(so)
	if address, ok := firstInstance(val); ok {
		d.Detail = fmt.Sprintf("%s is all instances of the block, and none of them is %q. Choose one, as in %s%s, or take all in a for expression.", what, name, address, suffix(step))
		if _, isIndex := step.(hcl.TraverseIndex); isIndex {
			d.Detail = fmt.Sprintf("%s has no instance %q.%s", what, name, didYouMean(name, keysOf(val), "Its instances are"))
		}
		return
	}
	if val.Type().IsPrimitiveType() {
		d.Detail = fmt.Sprintf("%s is %s, which has no attributes.", what, describe(val))
	}
	if keys := keysOf(val); keys != nil {
		d.Detail = fmt.Sprintf("%s has no attribute %q.%s", what, name, didYouMean(name, keys, "It has"))
	}
}

// explainNumber explains a number, or null, that is no index of a value.
func explainNumber(d *hcl.Diagnostic, so hcl.Traversal, step hcl.TraverseIndex, val cty.Value) {
	val, _ = val.Unmark()
	if val.IsNull() || !val.IsKnown() || !val.Type().IsTupleType() && !val.Type().IsListType() {
		return
	}
	n := val.LengthInt()
	d.Detail = fmt.Sprintf("%s has no element %s: it has %d elements, counted from 0.", traversalText(so), shortValue(step.Key), n)
	if n == 0 {
		d.Detail = fmt.Sprintf("%s has no element %s, because it is empty.", traversalText(so), shortValue(step.Key))
	}
}

// firstInstance is the address of the first instance, when a value is all instances of a
// block with for_each or count.
func firstInstance(v cty.Value) (string, bool) {
	if !v.Type().IsObjectType() && !v.Type().IsTupleType() {
		return "", false
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		address, ok := addressOf(e)
		return string(address), ok && strings.HasSuffix(string(address), "]")
	}
	return "", false
}

// suffix is a step as it is written.
func suffix(step hcl.Traverser) string {
	if s, ok := step.(hcl.TraverseAttr); ok {
		return "." + s.Name
	}
	return ""
}

// keysOf are the names in an object or map, nil for other values.
func keysOf(v cty.Value) []string {
	switch t := v.Type(); {
	case t.IsObjectType():
		return sortedNames(t.AttributeTypes())
	case t.IsMapType():
		return sortedNames(v.AsValueMap())
	}
	return nil
}
