package spec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// reference is what a traversal refers to: var.x, network.front, module.lab.address.
type reference struct {
	root, name string
	// member is the output, for modules; "" for all of them.
	member string
	at     hcl.Range
}

// The roots of references that are followed by a name, and those that stand alone.
var (
	namedRoots = []string{"var", "local", "module", "network", "sandbox", "endpoint", "host"}
	plainRoots = []string{"path", "cnm", "each", "count", "self"}
)

// parseReference reads the beginning of a traversal.
func parseReference(t hcl.Traversal) reference {
	ref := reference{root: t.RootName(), at: t.SourceRange()}
	if len(t) < 2 || ref.root != "path" && !slices.Contains(namedRoots, ref.root) {
		return ref
	}
	if step, ok := t[1].(hcl.TraverseAttr); ok {
		ref.name = step.Name
	}
	if ref.root == "host" {
		if step, ok := t[1].(hcl.TraverseIndex); ok && step.Key.Type() == cty.String {
			ref.name = step.Key.AsString()
		}
	}
	if ref.root != "module" {
		return ref
	}
	for _, step := range t[2:] {
		if attr, ok := step.(hcl.TraverseAttr); ok {
			ref.member = attr.Name
			break
		}
	}
	return ref
}

// references reads traversals; those that cannot be followed are left out, because
// checkReferences has reported them.
func references(traversals []hcl.Traversal) []reference {
	refs := make([]reference, 0, len(traversals))
	for _, t := range traversals {
		if ref := parseReference(t); !slices.ContainsFunc(refs, func(r reference) bool { return r.root == ref.root && r.name == ref.name && r.member == ref.member }) {
			refs = append(refs, ref)
		}
	}
	return refs
}

// allowed says which of each, count and self an expression may use.
type allowed struct{ each, count, self bool }

// checkReferences reports references to what there is not, in every expression of the
// module, whether it is evaluated or not.
func (c *Config) checkReferences(m *module) hcl.Diagnostics {
	var diags hcl.Diagnostics
	check := func(ts []hcl.Traversal, may allowed) {
		for _, t := range ts {
			if d := m.checkReference(t, may); d != nil {
				diags = append(diags, d)
			}
		}
	}
	for _, p := range m.settings {
		check(p.body.traversals(all), allowed{})
	}
	for _, v := range m.variables {
		for _, p := range v.validations {
			check(p.body.traversals(all), allowed{})
		}
	}
	for _, a := range m.locals {
		check(a.expr.Variables(), allowed{})
	}
	for _, p := range m.outputs {
		check(p.body.traversals(all), allowed{})
	}
	for _, call := range m.calls {
		may := repetitionOf(call.body)
		check(call.body.traversals(notRepetition), may)
		check(call.body.traversals(isRepetition), allowed{})
	}
	for _, objects := range m.objects {
		for _, o := range objects {
			may := repetitionOf(o.body)
			check(o.body.traversals(func(n string) bool { return notRepetition(n) && n != "lifecycle" }), may)
			check(o.body.traversals(isRepetition), allowed{})
			for _, p := range o.life.preconditions {
				check(p.body.traversals(all), may)
			}
			for _, p := range o.life.postconditions {
				check(p.body.traversals(all), allowed{may.each, may.count, true})
			}
			if o.life.prevent != nil {
				check(o.life.prevent.expr.Variables(), may)
			}
		}
	}
	return diags
}

func isRepetition(name string) bool  { return name == "for_each" || name == "count" }
func notRepetition(name string) bool { return !isRepetition(name) }

// repetitionOf says which of each and count the body of a block may use.
func repetitionOf(b *body) allowed {
	return allowed{each: b.attrs["for_each"] != nil, count: b.attrs["count"] != nil}
}

// checkReference says what is wrong with a reference, nil when nothing is.
func (m *module) checkReference(t hcl.Traversal, may allowed) *hcl.Diagnostic {
	ref := parseReference(t)
	at := ref.at.Ptr()
	switch ref.root {
	case "each":
		if !may.each {
			return fault(at, "Invalid reference", "\"each\" stands for the element of for_each, which this block does not have (or which is being evaluated here). Add for_each = …, or use another value.")
		}
	case "count":
		if !may.count {
			return fault(at, "Invalid reference", "\"count\" stands for the number of the instance, but this block has no count (or it is being evaluated here). Add count = …, or use another value.")
		}
	case "self":
		if !may.self {
			return fault(at, "Invalid reference", "\"self\" is the block itself and can be used in its postconditions only.")
		}
	case "path", "cnm":
		return m.checkMember(t, ref)
	case "var", "local", "module", "network", "sandbox", "endpoint", "host":
		return m.checkName(t, ref)
	default:
		return m.unknownRoot(t, ref)
	}
	return nil
}

// checkMember checks path.x and cnm.x.
func (m *module) checkMember(t hcl.Traversal, ref reference) *hcl.Diagnostic {
	names := map[string][]string{"path": {"module", "root", "cwd"}, "cnm": {"stack"}}[ref.root]
	if len(t) > 1 {
		if step, ok := t[1].(hcl.TraverseAttr); ok && !slices.Contains(names, step.Name) {
			return fault(ref.at.Ptr(), "Invalid reference", "There is no %s.%s.%s", ref.root, step.Name, didYouMean(step.Name, names, "There is"))
		}
	}
	return nil
}

// checkName checks that what is referred to is declared in the module.
func (m *module) checkName(t hcl.Traversal, ref reference) *hcl.Diagnostic {
	at, what := ref.at.Ptr(), map[string]string{"var": "variable", "local": "local value"}[ref.root]
	if what == "" {
		what = ref.root
	}
	if ref.name == "" {
		return fault(at, "Invalid reference", "%q must be followed by a dot and the name of a %s, as in %s.example.", ref.root, what, ref.root)
	}
	names := m.declared(ref.root)
	if !slices.Contains(names, ref.name) {
		if m.mayDeclare(ref.name) {
			return nil
		}
		hint := didYouMean(ref.name, names, "There is")
		if hint == "" {
			hint = fmt.Sprintf(" Declare it: %s.", declaration(ref.root, ref.name))
		}
		return fault(at, "Undeclared "+what, "This module has no %s called %q.%s", what, ref.name, hint)
	}
	if ref.root != "module" || ref.member == "" || m.calls[ref.name].module == nil {
		return nil
	}
	called := m.calls[ref.name].module
	outputs := sortedNames(called.outputs)
	if !slices.Contains(outputs, ref.member) && !called.mayDeclare(ref.member) {
		return fault(at, "Undeclared output", "The module %q has no output called %q.%s", ref.name, ref.member, didYouMean(ref.member, outputs, "It has"))
	}
	return nil
}

// declared are the names that may follow a root.
func (m *module) declared(root string) []string {
	switch root {
	case "var":
		return sortedNames(m.variables)
	case "local":
		return sortedNames(m.locals)
	case "module":
		return sortedNames(m.calls)
	}
	return sortedNames(m.objects[root])
}

// declaration is how a name would be declared.
func declaration(root, name string) string {
	switch root {
	case "var":
		return fmt.Sprintf("variable %q {}", name)
	case "local":
		return fmt.Sprintf("locals { %s = … }", name)
	}
	return fmt.Sprintf("%s %q { … }", root, name)
}

// unknownRoot explains a reference that begins with no known word.
func (m *module) unknownRoot(t hcl.Traversal, ref reference) *hcl.Diagnostic {
	at := ref.at.Ptr()
	for _, root := range namedRoots {
		if slices.Contains(m.declared(root), ref.root) && hclsyntax.ValidIdentifier(ref.root) {
			return fault(at, "Invalid reference", "There is no %q here. Did you mean \"%s.%s\"?", ref.root, root, ref.root)
		}
	}
	roots := append(slices.Clone(namedRoots), plainRoots...)
	if len(t) == 1 {
		return fault(at, "Invalid reference", "There is no %q here. If text is meant, put it in quotes: %q.%s", ref.root, ref.root, didYouMean(ref.root, roots, ""))
	}
	return fault(at, "Invalid reference", "A reference does not begin with %q.%s", ref.root, didYouMean(ref.root, roots, "It begins with one of"))
}
