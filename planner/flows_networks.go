package planner

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// outside is who is on no network of the stack.
const outside = "everybody outside"

// reach is what a network itself says of flows.
type reach struct {
	network state.Network
	// among: between its endpoints. open: with other networks that are open. out: with others.
	among, open, out bool
}

func reachOf(n state.Network) reach {
	unless := func(option string) bool {
		yes := true
		_ = json.Unmarshal(n.Options[option], &yes) // where there is no such option, it is yes
		return yes
	}
	return reach{n, unless("icc"), !unless("isolation") && !n.Internal, !n.Internal}
}

// changedReach is a network before and after.
type changedReach struct{ before, after reach }

// networkFlows lists the flows between whole networks that these judge otherwise than before.
func (d *diff) networkFlows() []policy.Change {
	if !slices.ContainsFunc(d.changes, func(n *node) bool { return n.key.Kind == state.KindNetwork }) {
		return nil
	}
	var networks []changedReach
	for _, n := range d.nodes {
		live, was := n.live.(state.Network)
		now, is := n.outcome().(state.Network)
		if was && is && len(live.Hidden)+len(now.Hidden) == 0 {
			networks = append(networks, changedReach{reachOf(live), reachOf(now)})
		}
	}
	slices.SortFunc(networks, func(a, b changedReach) int {
		return cmp.Compare(a.after.network.Mark.Address, b.after.network.Mark.Address)
	})
	return reachChanges(networks)
}

func reachChanges(networks []changedReach) []policy.Change {
	verdict := map[bool]policy.Verdict{true: policy.Allow, false: policy.Deny}
	var changes []policy.Change
	note := func(from, to string, old, now bool) {
		if old != now {
			changes = append(changes, policy.Change{From: from, To: to, Service: "any", Old: verdict[old], New: verdict[now]})
		}
	}
	for _, n := range networks {
		name := string(n.after.network.Mark.Address)
		note(name, name, n.before.among, n.after.among)
		note(name, outside, n.before.out, n.after.out)
		for _, o := range networks {
			if o.after.network.Mark != n.after.network.Mark {
				note(name, string(o.after.network.Mark.Address), n.before.open && o.before.open, n.after.open && o.after.open)
			}
		}
	}
	return changes
}
