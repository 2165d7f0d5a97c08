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

// TestLinkGetsIntoVRF: the kernel takes the link down and up, and what it loses by that is set
// again, behind the VRF and the link. An IPv4 address stays by itself.
func TestLinkGetsIntoVRF(t *testing.T) {
	place, owner := state.Netns("shop-a"), mark("endpoint.web")
	eth0 := func(vrf string) state.Link {
		return state.Link{Place: place, Name: "eth0", Type: state.Macvlan, Mark: owner, MAC: mac(1, 2), Up: true, VRF: vrf,
			On: state.Stacked{Lower: state.End{Place: state.Host, Name: "uplink"}, Mode: state.ModeBridge}}
	}
	red := func(table uint32) state.Link {
		return state.Link{Place: place, Name: "red", Type: state.VRF, Mark: mark("sandbox.a"), Table: table, Up: true}
	}
	stays := state.IPAddress{Place: place, Link: "eth0", Prefix: prefix("10.1.0.2/24"), Mark: owner}
	lost := []state.Object{
		state.IPAddress{Place: place, Link: "eth0", Prefix: prefix("fd00::2/64"), Mark: owner},
		state.NewRoute(state.Route{Place: place, Dst: prefix("10.9.0.0/16"), Dev: "eth0", Table: 77, Mark: owner}),
		state.Neighbor{Place: place, Link: "eth0", IP: addr("10.1.0.99"), MAC: mac(9, 9), Mark: owner},
	}
	world := func(more ...state.Object) state.World {
		w := state.World{}
		w.Add(state.Namespace{Name: "shop-a", Mark: mark("sandbox.a")}, stays)
		w.Add(lost...)
		w.Add(more...)
		return w
	}
	without, in, moved := world(eth0("")), world(eth0("red"), red(10)), world(eth0("red"), red(11))
	for name, c := range map[string]struct{ from, to state.World }{"in": {without, in}, "out": {in, without}, "table": {in, moved}} {
		p := mustDiff(t, c.from, c.to, opts())
		turn := map[state.Key]int{}
		for i, op := range p.Ops {
			if op.Action != state.Delete {
				turn[op.Key] = i + 1
			}
		}
		link := turn[eth0("").Key()]
		if link == 0 || turn[stays.Key()] != 0 || name != "out" && turn[red(10).Key()] > link {
			t.Errorf("%s: the link changes in operation %d, behind its VRF, and its IPv4 address stays:\n%s", name, link, listing(p))
		}
		for _, o := range lost {
			if turn[o.Key()] < link {
				t.Errorf("%s: %s is not set again behind the link:\n%s", name, o.Key(), listing(p))
			}
		}
	}
	if again := mustDiff(t, in, in, opts()); !again.Empty() {
		t.Errorf("a plan from a world to itself:\n%s", listing(again))
	}
}
