package planner

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// TestVRFOfOthers: two VRFs with one table are not apart, so a new one is refused the table of
// one that somebody else has; and a network in a VRF that is not as it should be is told so.
func TestVRFOfOthers(t *testing.T) {
	owner := mark("network.a")
	link := func(name string) state.Key { return state.LinkKey(state.Host, name) }
	red := state.Link{Place: state.Host, Name: "red", Type: state.VRF, Mark: owner, Table: 10, Up: true}
	in := state.Adopted{K: link("mgmt"), Type: state.VRF, Asker: owner}
	for name, c := range map[string]struct {
		live, want state.Object
		says       string
	}{
		"table":     {state.Foreign{K: link("mgmt"), What: "a vrf link", Type: state.VRF, Table: 10}, red, "routing table 10, which mgmt in the host has"},
		"elsewhere": {state.Foreign{K: state.LinkKey(state.Netns("x"), "mgmt"), Type: state.VRF, Table: 10}, red, ""},
		"apart":     {state.Foreign{K: link("mgmt"), Type: state.VRF, Table: 11}, red, ""},
		"missing":   {nil, in, "type vrf table NUMBER"},
		"bridge":    {state.Foreign{K: link("mgmt"), What: "a bridge link", Type: state.Bridge}, in, "there is a bridge link"},
		"ours":      {state.Link{Place: state.Host, Name: "mgmt", Type: state.VRF, Mark: owner, Table: 10, Up: true}, in, "Write its vrf_table"},
		"there":     {state.Foreign{K: link("mgmt"), Type: state.VRF, Table: 10}, in, ""},
	} {
		live, want := state.World{}, state.World{}
		if c.live != nil {
			live.Add(c.live)
		}
		want.Add(c.want)
		_, diags := Diff(live, want, opts())
		if said := diags.Error(); diags.HasErrors() != (c.says != "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: says %q, want %q", name, said, c.says)
		}
	}
}

// TestSandboxOutlivesItsVRF: another table takes another device, and nothing else of the sandbox.
func TestSandboxOutlivesItsVRF(t *testing.T) {
	world := func(table uint32) state.World {
		w := newWorld().sandbox("a", "").World
		w.Add(state.Link{Place: state.Netns("shop-a"), Name: "red", Type: state.VRF, Mark: mark("sandbox.a"), Table: table, Up: true})
		return w
	}
	p := mustDiff(t, world(10), world(11), opts())
	for _, r := range p.Resources {
		if r.Action != UpdateResource {
			t.Errorf("%s: %s\n%s", r.Address, r.Action, listing(p))
		}
	}
}

// TestRulesGoForNoBlock: rules are no block's, so when they go it is not because one is missing.
func TestRulesGoForNoBlock(t *testing.T) {
	with := newWorld().network("front", 1).World
	with.Add(state.Ruleset{Place: state.Host, Table: "cnm_shop", Mark: mark("")})
	o := opts()
	o.Decls = map[state.Address]spec.Decl{"network.front": {}}
	p := mustDiff(t, with, newWorld().network("front", 1).World, o)
	if len(p.Resources) != 1 || p.Resources[0].Reason != "because no block needs it any longer" {
		t.Errorf("the rules go: %+v\n%s", p.Resources, listing(p))
	}
}

// TestDefaultsOfBothFamilies: without a next hop, a route says of which family it is.
func TestDefaultsOfBothFamilies(t *testing.T) {
	for dst, want := range map[string]string{"0.0.0.0/0": "default dev eth0", "::/0": "::/0 dev eth0"} {
		if got := routeText(state.Route{Dst: netip.MustParsePrefix(dst), Dev: "eth0", Table: state.MainTable}); got != want {
			t.Errorf("the route to %s is shown as %q, want %q", dst, got, want)
		}
	}
}

// TestEndpointGoesToAnotherSandbox: its interface has the same name there, and that is not why it is replaced.
func TestEndpointGoesToAnotherSandbox(t *testing.T) {
	in := func(box string) state.World {
		w := newWorld().sandbox("a", "").sandbox("b", "").World
		w.Add(state.Link{Place: state.Netns("shop-" + box), Name: "eth0", Type: state.Macvlan, Mark: mark("endpoint.web"), MAC: mac(1, 2), Up: true,
			On: state.Stacked{Lower: state.End{Place: state.Host, Name: "uplink"}, Mode: state.ModeBridge}})
		return w
	}
	p := mustDiff(t, in("a"), in("b"), opts())
	for _, r := range p.Resources {
		if r.Action == ReplaceResource && !strings.Contains(r.Reason, "goes to namespace shop-b") {
			t.Errorf("%s is replaced %q\n%s", r.Address, r.Reason, listing(p))
		}
	}
	if !slices.ContainsFunc(p.Resources, func(r Resource) bool { return r.Action == ReplaceResource }) {
		t.Errorf("nothing is replaced:\n%s", listing(p))
	}
}
