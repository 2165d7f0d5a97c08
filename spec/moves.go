package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// readMoves puts the moves into the topology in an order in which each can be applied
// after all before it: what moved to a and from there to b moves twice. They are needed
// before anything is chosen, because what a block holds is known by its old address.
func (r *run) readMoves() {
	steps := r.moveSteps()
	for len(steps) > 0 {
		first := slices.IndexFunc(steps, func(m Move) bool {
			return !slices.ContainsFunc(steps, func(other Move) bool { return other != m && leadsTo(other, m) })
		})
		if first < 0 {
			r.report(fault(&steps[0].Range, "Moves in a circle", "%s", circle(steps)))
			return
		}
		r.top.Moves = append(r.top.Moves, steps[first])
		steps = slices.Delete(steps, first, first+1)
	}
}

// leadsTo reports that what the first move moves may be moved on by the second.
func leadsTo(first, second Move) bool {
	return Covers(second.From, first.To) || Covers(first.To, second.From)
}

// circle tells moves that lead to each other.
func circle(steps []Move) string {
	var b strings.Builder
	for _, m := range steps {
		fmt.Fprintf(&b, "\n  %s has moved to %s at %s", m.From, m.To, place(m.Range))
	}
	return "These moves lead back to where they began:\n" + b.String() + "\n\nDelete those that are out of date."
}

// checkMoves compares moved and removed blocks with the instances that there are.
func (r *run) checkMoves() {
	declared := r.declaredInstances()
	for k, m := range r.top.Moves {
		r.checkMove(m, declared)
		for _, other := range r.top.Moves[:k] {
			if other.From == m.From && other.To != m.To {
				r.report(fault(&m.Range, "Ambiguous move", "%s has moved to %s according to %s, and to %s here. Keep the one that is right.", m.From, other.To, place(other.Range), m.To))
			}
		}
	}
	for _, s := range r.scopes {
		for _, p := range s.mod.removed {
			r.removal(s, p, declared)
		}
	}
}

// declaredInstances are the addresses of all networks, sandboxes, endpoints and policies.
func (r *run) declaredInstances() []state.Address {
	var out []state.Address
	for _, kind := range []string{"network", "sandbox", "endpoint", "policy"} {
		for _, i := range r.instances(kind) {
			out = append(out, i.addr)
		}
	}
	return out
}

// moveSteps reads all moved blocks, with full addresses.
func (r *run) moveSteps() []Move {
	var out []Move
	for _, s := range r.scopes {
		for _, p := range s.mod.moved {
			from, ok := r.readAddress(s, p, "from")
			to, ok2 := r.readAddress(s, p, "to")
			switch {
			case !ok || !ok2:
			case kindOf(from) != kindOf(to):
				r.report(fault(p.body.attrs["to"].expr.Range().Ptr(), "Move between kinds", "%s is not of the same kind as %s, so it cannot have been it.", to, from))
			case from == to:
				r.report(fault(p.body.attrs["to"].expr.Range().Ptr(), "Move to itself", "%s is where it is. Delete the moved block.", to))
			default:
				out = append(out, Move{From: from, To: to, Range: p.header})
			}
		}
	}
	return out
}

// checkMove checks that what moved is gone from its old address and is at the new one.
func (r *run) checkMove(m Move, declared []state.Address) {
	if slices.ContainsFunc(declared, m.leftBehind) {
		r.report(fault(&m.Range, "Moved block still declared", "%s is said to have moved to %s, but it is still declared. Delete its old declaration, or the moved block.", m.From, m.To))
	}
	there := slices.ContainsFunc(declared, func(a state.Address) bool { return Covers(m.To, a) }) || r.declaresBlock(m.To)
	onward := slices.ContainsFunc(r.top.Moves, func(next Move) bool { return Covers(next.From, m.To) })
	if !there && !onward && !r.misses(kindOf(m.To)) {
		r.report(fault(&m.Range, "Moved to nothing", "%s is said to have moved to %s, but that is not declared. Declare it, correct the address, or use a removed block.", m.From, m.To))
	}
}

// leftBehind reports that an instance is still where the move says it has gone from. A block
// without a key that moves to one of its keys is that instance alone.
func (m Move) leftBehind(a state.Address) bool {
	if Covers(m.From, m.To) {
		return a == m.From
	}
	return Covers(m.From, a)
}

// declaresBlock reports that the block or module of an address is declared, with or
// without instances.
func (r *run) declaresBlock(a state.Address) bool {
	for _, s := range r.scopes {
		names := map[string][]string{"module": sortedNames(s.mod.calls)}
		for kind, objects := range s.mod.objects {
			names[kind] = sortedNames(objects)
		}
		for _, name := range names[kindOf(a)] {
			rest, ok := strings.CutPrefix(string(a), string(join(s.path, state.Address(kindOf(a)+"."+name))))
			if ok && (rest == "" || rest[0] == '[') {
				return true
			}
		}
	}
	return false
}

// removal reads a removed block.
func (r *run) removal(s *scope, p *part, declared []state.Address) {
	from, ok := r.readAddress(s, p, "from")
	if !ok {
		return
	}
	for _, a := range declared {
		if Covers(from, a) {
			r.report(fault(p.body.attrs["from"].expr.Range().Ptr(), "Removed block still declared", "%s is said to be removed, but %s is declared. Delete the declaration, or the removed block.", from, a))
			return
		}
	}
	out := Removal{From: from, Destroy: true, Range: p.header}
	rd := &reading{run: r, ctx: s.context(references(p.body.traversals(all)))}
	for _, life := range p.body.parts("lifecycle") {
		out.Destroy = rd.body(life.body, all).flag("destroy")
	}
	r.top.Removals = append(r.top.Removals, out)
}

// readAddress reads an address that is written as a reference.
func (r *run) readAddress(s *scope, p *part, name string) (state.Address, bool) {
	a := p.body.attrs[name]
	if a == nil {
		r.report(fault(p.header.Ptr(), "Missing argument", "A %s block needs %s = <address>, as in %s = sandbox.web.", p.schema.Name, name, name))
		return "", false
	}
	t, diags := hcl.AbsTraversalForExpr(a.expr)
	address, ok := addressText(t)
	if diags.HasErrors() || !ok {
		r.report(fault(a.expr.Range().Ptr(), "Invalid address", "An address is that of a network, a sandbox, an endpoint, a policy or a module, as in sandbox.web, endpoint.web[\"a\"] or module.lab, without quotes around it."))
		return "", false
	}
	return join(s.path, address), true
}

// addressText is a traversal as an address, if it is one.
func addressText(t hcl.Traversal) (state.Address, bool) {
	var out strings.Builder
	for i := 0; i < len(t); {
		kind := stepName(t[i])
		if i+1 >= len(t) || !slices.Contains([]string{"network", "sandbox", "endpoint", "policy", "module"}, kind) || stepName(t[i+1]) == "" {
			return "", false
		}
		if i > 0 {
			out.WriteByte('.')
		}
		out.WriteString(kind + "." + stepName(t[i+1]))
		i += 2
		if i < len(t) {
			if index, ok := t[i].(hcl.TraverseIndex); ok {
				key := shortValue(index.Key)
				if index.Key.Type() == cty.String {
					key = quoteKey(index.Key.AsString())
				}
				out.WriteString("[" + key + "]")
				i++
			}
		}
		if kind != "module" {
			return state.Address(out.String()), i == len(t)
		}
	}
	return state.Address(out.String()), len(t) > 0
}

// stepName is the name in a step of a traversal, "" for an index.
func stepName(step hcl.Traverser) string {
	switch s := step.(type) {
	case hcl.TraverseRoot:
		return s.Name
	case hcl.TraverseAttr:
		return s.Name
	}
	return ""
}

// kindOf is what the last part of an address names.
func kindOf(a state.Address) string {
	for text := string(a); ; {
		kind, rest, _ := strings.Cut(text, ".")
		if kind != "module" {
			return kind
		}
		next := strings.Index(rest, ".")
		if open := strings.Index(rest, "[\""); open >= 0 && (next < 0 || open < next) {
			next = strings.Index(rest[open:], "\"].")
			if next >= 0 {
				next += open + 2
			}
		}
		if next < 0 {
			return "module"
		}
		text = rest[next+1:]
	}
}
