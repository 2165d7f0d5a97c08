package planner

import (
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// flows lists the flows that policies, or networks among themselves, judge otherwise than
// before.
func (d *diff) flows() []policy.Change { return append(d.policyFlows(), d.networkFlows()...) }

// outcome is what there will be of the object; nil if nothing.
func (n *node) outcome() state.Object {
	switch {
	case n.made:
		return n.want
	case n.dead:
		return nil
	case n.updated:
		return n.after
	}
	return n.live
}

func (d *diff) policyFlows() []policy.Change {
	if !slices.ContainsFunc(d.changes, func(n *node) bool { return n.key.Kind == state.KindPolicy }) {
		return nil
	}
	var before, after []state.Policy
	for _, n := range d.nodes {
		if p, ok := n.live.(state.Policy); ok {
			before = append(before, p)
		}
		if p, ok := n.outcome().(state.Policy); ok {
			after = append(after, p)
		}
	}
	return policy.Changes(before, after)
}

// mostFlows is how many flows a plan shows one by one.
const mostFlows = 40

// flows shows which flows get another verdict.
func (out *printer) flows() {
	if len(out.plan.Flows) == 0 {
		return
	}
	out.put(out.paint(bold, "Flows with another verdict:"), "\n")
	for i, c := range out.plan.Flows {
		if i == mostFlows {
			out.put("  # and ", strconv.Itoa(len(out.plan.Flows)-mostFlows), " more; -json has them all\n")
			break
		}
		out.gutter(3, tilde)
		out.put("flow ", c.String(), "\n")
	}
	out.put("\n")
}
