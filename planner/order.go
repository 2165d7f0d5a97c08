package planner

import (
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// All that is known about order is in this file, and in guards.go what is of rules:
//
//   - create and update after what the object needs, delete before what it needs (but a
//     bridge before ports that go with their sandboxes);
//   - free a thing that only one can hold before somebody else takes it;
//   - set again what a deletion damages after that deletion;
//   - in one place: the namespace's own sysctls, then links, their sysctls, addresses,
//     routes (a gateway must be reachable), rules, and files last; away in reverse;
//   - claim before anything is made for an endpoint, and release after all is gone;
//   - publish a record after all kernel objects are made, withdraw it before any goes;
//   - creations first; what goes, goes as late as it may.
//
// An order is always found. What is made or changed waits for nothing but what comes
// before it in one chain: claim, namespace, ruleset, sysctl, link and so on to the record;
// what goes waits, in the reverse of that chain, only for what goes. Neither can form a
// circle alone, nor can both together as long as no deletion waits for a creation. The
// only edges that have one wait are those that yield (see yield.go).

// The parts of a plan, which follow each other.
const (
	early  = iota // what is made, and what has to go to make room for it
	late          // what merely goes
	last          // what is forgotten
	phases        // their number
)

// setting is the op that makes the node as it is wanted, -1 for none.
func (n *node) setting() int32 {
	if n.made {
		return int32(n.opMaking)
	}
	return int32(n.opUpdating)
}

// taking is the op that takes the node's live object away, -1 for none.
func (n *node) taking() int32 { return int32(n.opTaking) }

// needs orders a node against what it needs, wanted and live.
func (g *graph) needs(n *node) {
	if n.dead && n.made {
		g.edge(n.taking(), n.setting())
	}
	if n.setting() >= 0 && n.want != nil {
		for _, k := range n.want.Needs() {
			if x := g.d.nodes[k]; x != nil && !together(n, x) {
				g.edge(x.standing(), n.setting())
			}
		}
	}
	if n.live == nil {
		return
	}
	for _, k := range n.live.Needs() {
		x := g.d.nodes[k]
		if x == nil || !x.dead || together(n, x) {
			continue
		}
		if leavesBridge(n, x) {
			g.prefer(letGo, x.taking(), n.taking())
		} else if n.dead {
			g.edge(n.taking(), x.taking())
		} else if !x.made {
			g.prefer(letGo, n.setting(), x.taking())
		}
	}
}

// together reports that both are records. The store writes those of a wave as a whole, and
// who reads them understands each alone: a sandbox that has moved and what is in it are
// seen to have moved at once.
func together(n, x *node) bool { return n.key.Place == state.Store && x.key.Place == state.Store }

// leavesBridge reports that n is a port which goes with its sandbox, and x its bridge, which
// goes too. Such a bridge goes first: links that are deleted while they are its ports take longer,
// by some tenths of a second for a thousand.
func leavesBridge(n, x *node) bool {
	l, ok := n.live.(state.Link)
	return ok && n.dead && l.Master == x.key.Name && x.key.Kind == state.KindLink && x.key.Place == l.Place &&
		x.taker == x && n.taker != nil && n.taker.key.Kind == state.KindNamespace
}

// step is the turn of an object within its place, both on the way in and, backwards, on
// the way out; -1 for kinds that wait only for what they need.
func step(o state.Object) int {
	switch o := o.(type) {
	case state.Sysctl:
		if o.Link == "" {
			return 0
		}
	case state.Link:
		return 1
	case state.IPAddress:
		return 2
	case state.Route:
		return 3
	case state.Rule:
		return 4
	case state.File:
		return 5
	}
	return -1
}

const steps = 6

// stepNames name the gates behind the steps.
var (
	stepsIn  = [steps]string{"sysctls set", "links made", "addresses set", "routes set", "rules set", "files written"}
	stepsOut = [steps]string{"sysctls unset", "links gone", "addresses gone", "routes gone", "rules gone", "files gone"}
)

// places orders the nodes of one place.
func (g *graph) places(n *node) {
	if n.key.Place == state.Store {
		return
	}
	if v := n.setting(); v >= 0 && n.want != nil {
		if s := step(n.want); s >= 0 {
			g.turn(v, s, &g.spot(n.key.Place).in, false)
		}
		g.linkSettings(n, v)
	}
	if n.dead && n.taker == n {
		if s := step(n.live); s >= 0 {
			g.turn(n.taking(), s, &g.spot(n.key.Place).out, true)
		}
	}
}

// turn has the op wait for the step before it and open the gate behind its own. Links
// wait for nothing but sysctls, and addresses not for links: they need only their own.
func (g *graph) turn(v int32, s int, gates *[steps]int32, backwards bool) {
	link := func(a, b int32) {
		if backwards {
			a, b = b, a
		}
		g.edge(a, b)
	}
	if s > 0 {
		before := s - 1
		if s <= 2 {
			before = 0
		}
		link(g.stepGate(before, gates, backwards), v)
	}
	link(v, g.stepGate(s, gates, backwards))
}

// stepGate is the gate behind a step; it waits for the gate of the step before.
func (g *graph) stepGate(s int, gates *[steps]int32, backwards bool) int32 {
	if gates[s] != 0 {
		return gates[s]
	}
	v := g.newGate()
	gates[s] = v
	if s >= 3 {
		before := g.stepGate(s-1, gates, backwards)
		if backwards {
			g.edge(v, before)
		} else {
			g.edge(before, v)
		}
	}
	return v
}

// linkSettings has a link's own sysctls set before it gets addresses: whether IPv6 is on
// is one of them.
func (g *graph) linkSettings(n *node, v int32) {
	switch o := n.want.(type) {
	case state.Sysctl:
		if o.Link != "" {
			g.edge(v, g.gate(gate{"sysctls of link", o.Place, o.Link}))
		}
	case state.IPAddress:
		g.edge(g.gate(gate{"sysctls of link", o.Place, o.Link}), v)
	}
}

// store orders claims and records against what is in the kernel.
func (g *graph) store(n *node) {
	own := n.block
	switch n.key.Kind {
	case state.KindClaim:
		if n.made {
			g.edge(n.setting(), g.blockGate(claimed, own))
			g.edge(n.setting(), g.ownMade(own))
		}
		if n.dead {
			holder := g.d.blockAt(n.live.Owner().Address)
			g.edge(g.blockGate(unplumbed, holder), n.taking())
			g.edge(g.blockGate(withdrawn, holder), n.taking())
		}
	case state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindHost, state.KindPolicy:
		g.edge(g.ownMade(own), n.setting())
		g.prefer(publish, g.gate(allMade), n.setting())
		// A moved record is written under its new address before the old one goes.
		if n.dead && own.address == n.owner() {
			g.edge(n.taking(), g.blockGate(withdrawn, own))
		} else if n.dead {
			g.prefer(letGo, g.blockGate(recorded, own), n.taking())
		}
		if n.made {
			g.edge(n.setting(), g.blockGate(recorded, own))
		}
	case state.KindOutput: // saved with the records, gone before what it speaks of
		g.prefer(publish, g.gate(allMade), n.setting())
	default:
		if n.made {
			g.edge(g.blockGate(claimed, own), n.setting())
		}
		if v := n.setting(); v >= 0 && !n.forgotten && !g.putOff[v] {
			g.edge(v, g.ownMade(own))
		}
		if n.dead {
			holder := g.d.blockAt(n.live.Owner().Address)
			g.edge(g.blockGate(withdrawn, holder), n.taking())
			g.edge(n.taking(), g.blockGate(unplumbed, holder))
		}
	}
}

// allMade names the gate behind all that is made.
var allMade = gate{what: "all made"}

// ownMade is the gate behind all that is made for one block; it is one of those before the
// gate behind all that is made at all.
func (g *graph) ownMade(own *block) int32 {
	n := len(g.waits)
	v := g.blockGate(made, own)
	if int(v) == n {
		g.edge(v, g.gate(allMade))
	}
	return v
}

// damage has things set again after the deletion that damages them.
func (g *graph) damage() {
	for gone, nodes := range g.d.shaken {
		for _, n := range nodes {
			g.edge(gone.taking(), n.setting())
		}
	}
}

// unique has things that only one can hold freed before they are taken. Two that stay can
// be after what the other one has; the kernel may know a way then.
func (g *graph) unique() {
	if g.d.fresh {
		return
	}
	for _, n := range g.d.changes {
		switch {
		case n.dead:
			for _, name := range holds(n.live, nil) {
				g.edge(n.taking(), g.gate(gate{what: "free", who: name}))
				if n.key.Kind == state.KindFDB {
					g.edge(n.taking(), g.gate(gate{what: "off the tunnels", who: name}))
				}
			}
		case n.updated:
			for _, name := range holds(n.live, n.want) {
				g.prefer(letGo, n.setting(), g.gate(gate{what: "free", who: name}))
			}
		}
	}
	for _, n := range g.d.changes {
		kept := n.live
		if n.made {
			kept = nil
		}
		freed := "free"
		if n.key.Kind == state.KindFDB {
			// The kernel takes a MAC from the port behind which it was (br_fdb_add), and sticky
			// entries keep it. So the way to who has moved away does not wait for the teardown
			// of the sandbox in which it was.
			freed = "off the tunnels"
		}
		for _, name := range holds(n.want, kept) {
			if v, ok := g.gates[gate{what: freed, who: name}]; ok {
				g.edge(v, n.setting())
			}
		}
	}
}

// holds lists what o holds and the other one does not.
func holds(o, other state.Object) []string {
	u, ok := o.(state.Unique)
	if !ok {
		return nil
	}
	names := u.Holds()
	if v, ok := other.(state.Unique); ok {
		kept := v.Holds()
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(kept, name) })
	}
	return names
}
