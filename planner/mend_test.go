package planner

import (
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// TestNeighborOfARenumberedLink: the link's only IPv4 address makes room for another, and
// takes the neighbors along, so they are set again after it has gone.
func TestNeighborOfARenumberedLink(t *testing.T) {
	neighbor := state.Neighbor{Place: state.Netns("shop-a"), Link: "eth1", IP: addr("10.1.0.99"), MAC: mac(9, 9), Mark: mark("sandbox.a")}
	before, after := func(e *state.Endpoint) {}, func(e *state.Endpoint) { e.IPv4, e.MAC = prefix("10.1.0.3/24"), mac(1, 2) }
	at := func(change func(*state.Endpoint)) state.World {
		w := newWorld().network("front", 1).sandbox("a", "").endpoint("web", "front", "a", 2, change)
		w.Add(neighbor)
		return w.World
	}
	p := mustDiff(t, at(before), at(after), opts())
	gone, set := -1, -1
	for i, op := range p.Ops {
		switch {
		case op.Key.Kind == state.KindAddress && op.Action == state.Delete:
			gone = i
		case op.Key == neighbor.Key() && op.Action == state.Update:
			set = i
		}
	}
	if gone < 0 || set < gone {
		t.Errorf("the address goes in operation %d, and the neighbor is set in operation %d:\n%s", gone, set, listing(p))
	}
	if again := mustDiff(t, at(before), at(before), opts()); !again.Empty() {
		t.Errorf("a plan from a world to itself:\n%s", listing(again))
	}
}
