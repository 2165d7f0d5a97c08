package spec

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Eval evaluates an expression in the root module, after Evaluate. Sensitive says that
// the value must not be shown without being asked for.
func (c *Config) Eval(text string) (v cty.Value, sensitive bool, diags hcl.Diagnostics) {
	const name = "<expression>"
	c.parser.AddFile(name, &hcl.File{Bytes: []byte(text)})
	if problem := tooDeep([]byte(text), name, hclsyntax.LexExpression); problem != nil {
		return cty.NilVal, false, hcl.Diagnostics{problem}
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), name, hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, false, diags
	}
	if c.run == nil {
		return cty.NilVal, false, hcl.Diagnostics{fault(nil, "No values", "The configuration was not evaluated, so there are no values to look at.")}
	}
	for _, t := range expr.Variables() {
		if d := c.root.checkReference(t, allowed{}); d != nil {
			diags = append(diags, d)
		}
	}
	if diags.HasErrors() {
		return cty.NilVal, false, diags
	}
	c.run.diags = nil
	v, _ = c.run.root.eval(expr, nil)
	diags = tidy(c.run.diags)
	if diags.HasErrors() {
		return cty.NilVal, false, diags
	}
	sensitive = hasMark(v, sensitiveMark{})
	v, _ = v.UnmarkDeep()
	if !v.IsWhollyKnown() {
		return cty.NilVal, false, hcl.Diagnostics{fault(expr.Range().Ptr(), "No value", "The value could not be computed, because of errors in the configuration. See \"cnmctl validate\".")}
	}
	return v, sensitive, nil
}

// Unfinished reports that an expression goes on in another line: a bracket is open, or a
// heredoc has no end.
func Unfinished(text string) bool {
	tokens, _ := hclsyntax.LexExpression([]byte(text), "", hcl.InitialPos)
	open := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOHeredoc:
			open++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCHeredoc:
			open--
		}
		if open < 0 {
			return false // no line to come can mend that
		}
	}
	return open > 0
}
