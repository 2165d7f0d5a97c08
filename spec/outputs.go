package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// readOutputs evaluates the root's outputs.
func (r *run) readOutputs() {
	for _, name := range sortedNames(r.root.mod.outputs) {
		p := r.root.mod.outputs[name]
		out := &Output{Name: name, Range: p.header}
		r.report(staticString(p.body, "description", &out.Description)...)
		r.report(staticBool(p.body, "sensitive", false, &out.Sensitive)...)
		a := p.body.attrs["value"]
		if a == nil {
			r.report(fault(p.header.Ptr(), "Missing argument", "The output %q needs a value = ….", name))
			continue
		}
		v := r.root.outputValue(name, a.expr.Range())
		if !out.Sensitive && hasMark(v, sensitiveMark{}) {
			r.report(fault(a.expr.Range().Ptr(), "Sensitive value shown", "The value of the output %q comes from something sensitive, and outputs are shown. Add sensitive = true to hide it, or nonsensitive(…) if it may be shown.", name))
			continue
		}
		v, _ = v.UnmarkDeep()
		if !v.IsWhollyKnown() {
			continue // reported where it was evaluated
		}
		if isInfinite(v) {
			r.report(fault(a.expr.Range().Ptr(), "Infinite value", "The value of the output %q holds a number divided by zero, which cannot be shown.", name))
			continue
		}
		out.Value, out.Of = v, r.root.mod.sourcesOf(a.expr)
		r.top.Outputs = append(r.top.Outputs, out)
	}
	r.evaluateRest()
}

// isInfinite reports that the value is or holds an infinite number, which the language has
// (1 / 0) and JSON has not.
func isInfinite(v cty.Value) bool {
	found := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
		found = found || v.Type() == cty.Number && !v.IsNull() && v.AsBigFloat().IsInf()
		return !found, nil
	})
	return found
}

// evaluateRest evaluates what nothing refers to, so that the mistakes in it are found.
func (r *run) evaluateRest() {
	for _, s := range r.scopes {
		for _, name := range sortedNames(s.mod.locals) {
			s.resolve(reference{root: "local", name: name, at: s.mod.locals[name].rng})
		}
		for _, name := range sortedNames(s.mod.variables) {
			s.resolve(reference{root: "var", name: name, at: s.mod.variables[name].header})
		}
		for _, name := range sortedNames(s.mod.outputs) {
			p := s.mod.outputs[name]
			if p.body.attrs["value"] == nil && s.parent != nil {
				r.report(fault(p.header.Ptr(), "Missing argument", "The output %q needs a value = ….", name))
				continue
			}
			s.outputValue(name, p.header)
		}
	}
}

// checkVariables checks the validations of all variables. Some may have to wait until
// addresses are chosen; a variable that fails has failed for all that use it.
func (r *run) checkVariables(last bool) {
	for _, s := range r.scopes {
		for _, name := range sortedNames(s.mod.variables) {
			v := s.mod.variables[name]
			if s.validated[name] || len(v.validations) == 0 {
				continue
			}
			s.resolve(reference{root: "var", name: name, at: v.header})
			known := true
			for _, p := range v.validations {
				ok, decided := s.condition(p, s.sourceOf(v), "Invalid value for variable "+strconv.Quote(name))
				known = known && decided
				if decided && !ok {
					s.nodes["var."+name].val = failedValue
				}
			}
			s.validated[name] = known || last
		}
	}
}

// checkConditions checks the pre- and postconditions of all blocks and outputs.
func (r *run) checkConditions() {
	for _, kind := range []string{"network", "sandbox", "endpoint", "policy"} {
		for _, i := range r.instances(kind) {
			if !i.read || i.failed {
				continue
			}
			for _, p := range i.life.preconditions {
				i.scope.condition(p, nil, "Precondition of "+string(i.addr)+" failed", i.element.vars)
			}
			if len(i.life.postconditions) == 0 {
				continue
			}
			self := map[string]cty.Value{"self": i.value()}
			for _, p := range i.life.postconditions {
				i.scope.condition(p, nil, "Postcondition of "+string(i.addr)+" failed", i.element.vars, self)
			}
		}
	}
	for _, s := range r.scopes {
		for _, name := range sortedNames(s.mod.outputs) {
			for _, p := range s.mod.outputs[name].body.parts("precondition") {
				s.condition(p, nil, fmt.Sprintf("Precondition of output %q failed", name))
			}
		}
	}
}

// sourceOf is where the value of a variable was given, or else where it is declared.
func (s *scope) sourceOf(v *variable) *hcl.Range {
	if s.parent != nil {
		if a := s.call.body.attrs[v.name]; a != nil {
			return a.expr.Range().Ptr()
		}
	} else if in := s.c.inputs[v.name]; in.rng != nil {
		return in.rng
	}
	return v.header.Ptr()
}

// condition checks one condition, with vars on top of the scope; at is the culprit, nil for
// the condition itself. decided is false while it depends on what is not chosen yet, and
// when it could not be evaluated.
func (s *scope) condition(p *part, at *hcl.Range, summary string, vars ...map[string]cty.Value) (ok, decided bool) {
	a := p.body.attrs["condition"]
	if a == nil || p.body.attrs["error_message"] == nil {
		s.report(fault(p.header.Ptr(), "Missing argument", "A %s block needs a condition and an error_message.", p.schema.Name))
		return true, true
	}
	ctx := s.context(references(p.body.traversals(all)))
	s.checkPlainMessage(p, ctx)
	for _, v := range vars {
		if v != nil {
			ctx = ctx.NewChild()
			ctx.Variables = v
		}
	}
	v := s.evaluate(a.expr, ctx)
	v, _ = v.UnmarkDeep()
	if !v.IsKnown() {
		return true, false
	}
	holds, err := convert.Convert(v, cty.Bool)
	if err != nil || holds.IsNull() {
		s.report(fault(a.expr.Range().Ptr(), "Invalid condition", "A condition is true or false; this one is %s.", describe(v)))
		return true, true
	}
	if holds.True() {
		return true, true
	}
	if at == nil {
		at = a.expr.Range().Ptr()
	}
	d := fault(at, summary, "%s\n\nThis was checked by the %s at %s.", s.errorMessage(p, ctx), p.schema.Name, place(p.header))
	d.Expression, d.EvalContext = a.expr, ctx
	s.report(d)
	return false, true
}

// checkPlainMessage refuses a message that is no text, whether or not it is needed. One that
// is made of something may make sense only when it is.
func (s *scope) checkPlainMessage(p *part, ctx *hcl.EvalContext) {
	expr := p.body.attrs["error_message"].expr
	if len(expr.Variables()) > 0 {
		return
	}
	v := s.evaluate(expr, ctx)
	if !v.IsKnown() {
		return // reported where it was evaluated
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil || text.IsNull() || strings.TrimSpace(text.AsString()) == "" {
		s.report(fault(expr.Range().Ptr(), "Invalid error_message", "An error_message is text for whoever reads that the condition does not hold; this one is %s.", describe(v)))
	}
}

// errorMessage evaluates the message of a condition that does not hold.
func (s *scope) errorMessage(p *part, ctx *hcl.EvalContext) string {
	v := s.evaluate(p.body.attrs["error_message"].expr, ctx)
	v, marks := v.UnmarkDeep()
	if _, sensitive := marks[sensitiveMark{}]; sensitive {
		return "The message is made of something sensitive, so it is not shown."
	}
	v, err := convert.Convert(v, cty.String)
	if err != nil || v.IsNull() || !v.IsKnown() {
		return "The condition does not hold, and its error_message is not text."
	}
	return v.AsString()
}
