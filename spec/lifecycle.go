package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// lifecycle is a lifecycle block as far as it can be read without evaluating it.
type lifecycle struct {
	ignore        []string
	prevent       *argument
	preconditions []*part
	// postconditions may use self.
	postconditions []*part
}

func readLifecycle(p *part) (lifecycle, hcl.Diagnostics) {
	var life lifecycle
	var diags hcl.Diagnostics
	for _, b := range p.body.parts("lifecycle") {
		life.prevent = b.body.attrs["prevent_destroy"]
		life.preconditions = b.body.parts("precondition")
		life.postconditions = b.body.parts("postcondition")
		life.ignore, diags = readIgnored(b.body.attrs["ignore_changes"], &p.schema.Schema)
	}
	return life, diags
}

// readIgnored reads ignore_changes: all, or a list of attributes' names.
func readIgnored(a *argument, schema *Schema) ([]string, hcl.Diagnostics) {
	if a == nil {
		return nil, nil
	}
	if hcl.ExprAsKeyword(a.expr) == "all" {
		return []string{"all"}, nil
	}
	exprs, diags := hcl.ExprList(a.expr)
	if diags.HasErrors() {
		return nil, hcl.Diagnostics{fault(a.expr.Range().Ptr(), "Invalid ignore_changes", "It is a list of attributes' names, as in [labels, mtu], or the word all.")}
	}
	var names []string
	diags = nil
	for _, expr := range exprs {
		traversal, bad := hcl.RelTraversalForExpr(expr)
		if bad.HasErrors() || len(traversal) == 0 {
			diags = append(diags, fault(expr.Range().Ptr(), "Invalid ignore_changes", "Each element is the name of an attribute, as in [labels, mtu], without quotes."))
			continue
		}
		name := traversal[0].(hcl.TraverseAttr).Name
		known := slices.DeleteFunc(schema.names(), func(s string) bool { return s == "for_each" || s == "count" || s == "lifecycle" })
		if !slices.Contains(known, name) {
			diags = append(diags, fault(expr.Range().Ptr(), "Invalid ignore_changes", "%s block has no attribute %q.%s", upperFirst(withArticle(schema.Name)), name, didYouMean(name, known, "It has")))
			continue
		}
		names = append(names, name)
	}
	return names, diags
}
