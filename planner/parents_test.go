package planner

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/ipvlan"
	"github.com/cnmctl/cnmctl/drivers/macvlan"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

func parentTraits() map[string]drivers.Traits {
	return map[string]drivers.Traits{"macvlan": macvlan.Driver{}.Traits(), "ipvlan": ipvlan.Driver{}.Traits(), "host": {HostNamespace: true}}
}

// on writes the options of a network, as in "mode=l3".
func on(n *spec.Network, options ...string) {
	n.Options = state.Options{}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		n.Options[key], _ = json.Marshal(value)
	}
}

// TestOnParents: what endpoints get on an interface of the host, in each way to be on it.
func TestOnParents(t *testing.T) {
	d := newDraft()
	on(d.network("lan", "macvlan", subnet("10.1.0.0/24")), "parent=eth0")
	on(d.network("sole", "macvlan", subnet("10.2.0.0/24")), "parent=eth1", "mode=passthru")
	on(d.network("l2", "ipvlan", subnet("10.3.0.0/24")), "parent=eth2")
	on(d.network("l3", "ipvlan", subnet("10.4.0.0/24")), "mode=l3")
	on(d.network("none", "macvlan", subnet("10.5.0.0/24")))
	for _, n := range []string{"lan", "sole", "l2", "l3"} {
		d.endpoint(n, n, n)
	}
	held := Held{Facts: Facts{
		HostAddresses: map[netip.Addr]string{netip.MustParseAddr("10.1.0.1"): "eth0", netip.MustParseAddr("10.1.0.2"): "eth0"},
		HostRoutes:    []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")},
	}}
	a := NewAllocator(parentTraits(), held)
	if diags := append(a.Networks(&d.Topology), a.Endpoints(&d.Topology)...); len(diags) > 0 {
		t.Fatal(diags)
	}
	lan, sole, l2, l3 := d.Endpoints[0], d.Endpoints[1], d.Endpoints[2], d.Endpoints[3]
	wantEqual(t, "gateway beside the host's addresses", d.Networks[0].Subnets[0].Gateway.String(), "10.1.0.3")
	wantEqual(t, "address beside the host's", lan.IPv4.String(), "10.1.0.4/24")
	wantEqual(t, "MAC", lan.MAC.String(), "02:42:0a:01:00:04")
	wantEqual(t, "MACs of parents", sole.MAC.String()+l2.MAC.String()+l3.MAC.String(), "")
	wantEqual(t, "gateway of a routed network", d.Networks[3].Subnets[0].Gateway.IsValid(), false)
	wantEqual(t, "address without a gateway", l3.IPv4.String(), "10.4.0.1/24")
	wantEqual(t, "devices", d.Networks[0].Device, "")
	for i, prefix := range map[int]string{3: "di-", 4: "dm-"} {
		if device := d.Networks[i].Device; !strings.HasPrefix(device, prefix) || len(device) != 15 {
			t.Errorf("the dummy of %s is called %q", d.Networks[i].Name, device)
		}
	}
}

func TestParentMistakes(t *testing.T) {
	facts := Facts{
		Links: map[string]bool{"eth0": true, "down": true, "port": true, "eth0.7": true},
		MTUs:  map[string]int{"eth0": 1500, "down": 1500, "port": 1500, "eth0.7": 1500, "br-ours": 1500},
		Down:  map[string]bool{"down": true}, Ports: map[string]string{"port": "br0"},
	}
	for _, c := range []struct {
		parent string
		mtu    int
		want   string // "" is fine
	}{
		{"eth0", 0, ""}, {"eth0.10", 0, ""}, {"eth0.7", 0, ""}, {"port.10", 0, ""}, {"eth0", 1500, ""},
		{"eth7", 0, "no such interface"}, {"eth7.10", 0, "no such interface"},
		{"br-ours", 0, "an interface of this stack itself"},
		{"port", 0, "a port of br0"},
		{"eth0", 9000, "an MTU of 9000, and its parent eth0 one of 1500"},
		{"down", 0, "ip link set down up"}, {"down.10", 0, "no VLAN up on an interface that is down"},
	} {
		d := newDraft()
		n := d.network("lan", "macvlan")
		n.MTU = c.mtu
		on(n, "parent="+c.parent)
		d.endpoint("e", "lan", "s")
		diags := Parents(&d.Topology, parentTraits(), "a", facts)
		if c.want == "" && len(diags) > 0 || c.want != "" && (len(diags) != 1 || !strings.Contains(diags[0].Detail, c.want)) {
			t.Errorf("parent %s, MTU %d: %v, want %q", c.parent, c.mtu, diags, c.want)
		}
		if c.parent == "down" && diags[0].Severity != hcl.DiagWarning {
			t.Errorf("parent %s: %v is no warning", c.parent, diags)
		}
		d.Sandboxes[0].Host = "b" // which has interfaces of its own
		if diags := Parents(&d.Topology, parentTraits(), "a", facts); len(diags) > 0 {
			t.Errorf("parent %s on another host: %v", c.parent, diags)
		}
	}
}

// TestMTUOfTheParent: what has no MTU of its own has that of the link below, and goes
// along with it.
func TestMTUOfTheParent(t *testing.T) {
	parent := state.LinkKey(state.Host, "eth0")
	vlan := state.Link{Place: state.Host, Name: "eth0.10", Type: state.VLAN, On: state.Stacked{Lower: state.End{Place: state.Host, Name: "eth0"}, VLAN: 10}}
	child := state.Link{
		Place: state.Netns("shop-a"), Name: "eth0", Type: state.Macvlan,
		On: state.Stacked{Lower: state.End{Place: state.Host, Name: "eth0.10"}, Mode: state.ModeBridge},
	}
	want, live := state.World{}, state.World{}
	want.Add(vlan, child, state.Adopted{K: parent})
	live.Add(state.Foreign{K: parent, MTU: 9000})
	for _, l := range []state.Link{vlan, child} {
		wantEqual(t, "MTU of "+l.Name, heir(l, want, live).(state.Link).MTU, 9000)
	}
	child.MTU = 1400
	wantEqual(t, "MTU that is asked for", heir(child, want, live).(state.Link).MTU, 1400)
	live.Add(state.Foreign{K: vlan.Key(), MTU: 1500})
	child.MTU = 0
	wantEqual(t, "MTU on somebody else's VLAN", heir(child, want, live).(state.Link).MTU, 1500)
}
