package spec

import (
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A run evaluates a configuration. Names are evaluated when something refers to them, and
// kept. What is not chosen yet is an unknown value that carries, as a mark, what it waits
// for; a value that could not be evaluated is an unknown that carries the mark failed, and
// whatever it gets into fails without another word.
//
// The phases are: networks; Allocator.Networks; sandboxes' names; endpoints;
// Allocator.Endpoints; everything else. After each choice what was unknown is forgotten,
// so that it is evaluated anew.
type run struct {
	c     *Config
	diags hcl.Diagnostics
	root  *scope
	// scopes are all module instances, parents first.
	scopes    []*scope
	stack     []frame
	stackName string

	top       *Topology
	networks  map[state.Address]*instance
	sandboxes map[state.Address]*instance
	hosts     map[string]*instance
	// endpoints are found by address where a policy refers to them; nil before.
	endpoints map[state.Address]*instance
	// ordered are all instances of a kind, once they are.
	ordered map[string][]*instance
	// unknowns are the values that pending returns: one for all instances of a block.
	unknowns map[pendingMark]cty.Value
	// chosen says which of the allocator's choices have been made.
	networksChosen, endpointsChosen bool
}

// The marks of values. They never reach a record.
type (
	// failedMark is on values that could not be evaluated.
	failedMark struct{}
	// pendingMark is on unknown values that are chosen later: attribute attr of block.
	pendingMark struct {
		block state.Address
		attr  string
	}
	// sensitiveMark is on values that must not be shown.
	sensitiveMark struct{}
)

var failedValue = cty.DynamicVal.Mark(failedMark{})

// node is a name that can be referred to, with its value once it is evaluated.
type node struct {
	name    string
	busy    bool
	done    bool
	val     cty.Value
	compute func() cty.Value
}

// frame is a node being evaluated, and the place that asked for it.
type frame struct {
	node *node
	at   hcl.Range
}

// get evaluates a node, for the reference at a place.
func (r *run) get(n *node, at hcl.Range) cty.Value {
	switch {
	case n.done:
		return n.val
	case n.busy:
		r.reportCycle(n, at)
		return failedValue
	}
	n.busy = true
	r.stack = append(r.stack, frame{n, at})
	n.val = n.compute()
	r.stack = r.stack[:len(r.stack)-1]
	n.busy, n.done = false, true
	return n.val
}

// reportCycle reports that a node needs itself, with the place of each step.
func (r *run) reportCycle(n *node, at hcl.Range) {
	start := 0
	for i, f := range r.stack {
		if f.node == n {
			start = i
		}
	}
	var path strings.Builder
	for i := start; i < len(r.stack); i++ {
		next, where := n.name, at
		if i+1 < len(r.stack) {
			next, where = r.stack[i+1].node.name, r.stack[i+1].at
		}
		fmt.Fprintf(&path, "\n  %s refers to %s at %s", r.stack[i].node.name, next, place(where))
	}
	if start == len(r.stack)-1 {
		r.report(fault(&at, "Reference to itself", "%s cannot be evaluated, because it refers to itself. Use a value that does not depend on it.", n.name))
		return
	}
	r.report(fault(&at, "Cycle", "%s cannot be evaluated, because it is needed for itself:\n%s\n\nOne of these references has to go: replace it by a value that does not depend on the others.", n.name, path.String()))
}

// report keeps diagnostics for the end.
func (r *run) report(diags ...*hcl.Diagnostic) {
	for _, d := range diags {
		explainValue(d)
		r.diags = append(r.diags, d)
	}
}

// forget drops what was evaluated from values that have been chosen since.
func (r *run) forget() {
	for _, s := range r.scopes {
		for _, n := range s.nodes {
			if n.done && !n.val.IsWhollyKnown() && !isFailed(n.val) {
				n.done = false
			}
		}
	}
}

// evaluate is the value of an expression; failedValue, reported, when it has none.
func (r *run) evaluate(expr hcl.Expression, ctx *hcl.EvalContext) cty.Value {
	v, diags := expr.Value(ctx)
	r.report(diags...)
	if diags.HasErrors() {
		return failedValue
	}
	return v
}

// isFailed reports that the value as a whole could not be evaluated.
func isFailed(v cty.Value) bool { return !v.IsKnown() && hasMark(v, failedMark{}) }

// hasMark reports that a mark is on the value or in it.
func hasMark(v cty.Value, mark any) bool {
	if !v.ContainsMarked() {
		return false
	}
	_, marks := v.UnmarkDeep()
	_, ok := marks[mark]
	return ok
}

// pendings are what the value waits for.
func pendings(marks cty.ValueMarks) []pendingMark {
	var out []pendingMark
	for m := range marks {
		if p, ok := m.(pendingMark); ok {
			out = append(out, p)
		}
	}
	return out
}

// pending is an unknown value of type t that is chosen later.
func (r *run) pending(t cty.Type, block state.Address, attr string) cty.Value {
	mark := pendingMark{block, attr}
	v, ok := r.unknowns[mark]
	if !ok {
		v = cty.UnknownVal(t).Mark(mark)
		r.unknowns[mark] = v
	}
	return v
}
