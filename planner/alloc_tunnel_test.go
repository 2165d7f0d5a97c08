package planner

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// span adds a network of tunnels; an option is its JSON.
func (d *draft) span(name string, options map[string]string, subnets ...state.Subnet) *spec.Network {
	n := d.network(name, "vxlan", subnets...)
	n.Options = state.Options{}
	for k, v := range options {
		n.Options[k] = json.RawMessage(v)
	}
	return n
}

func tunnelTraits() map[string]drivers.Traits {
	traits := testTraits()
	traits["vxlan"] = drivers.Traits{Global: true, Pools: true, Gateway: true, Links: true, HostLinks: true, Tunnels: true, WayOut: "bridge"}
	return traits
}

func (d *draft) allocateTunnels(t *testing.T, held Held) (diags []string) {
	t.Helper()
	a := NewAllocator(tunnelTraits(), held)
	for _, g := range append(a.Networks(&d.Topology), a.Endpoints(&d.Topology)...) {
		diags = append(diags, g.Summary+"; "+g.Detail)
	}
	return diags
}

func internalNetwork(n *spec.Network) *spec.Network { n.Internal = true; return n }

// VNIs: what is written, then what is held, then the lowest that nobody has; the first
// subnets of both families share one.
func TestVNIs(t *testing.T) {
	d := newDraft()
	a := internalNetwork(d.span("a", nil, subnet("10.1.0.0/24"), subnet("fd00:1::/64")))
	b := internalNetwork(d.span("b", map[string]string{"vnis": "[256]"}, subnet("10.2.0.0/24")))
	c := internalNetwork(d.span("c", nil, subnet("10.3.0.0/24"), subnet("10.4.0.0/24"), subnet("fd00:3::/64")))
	e := internalNetwork(d.span("e", nil, subnet("fd00:4::/64")))
	held := Held{
		Networks: map[state.Address]HeldNetwork{"network.e": {VNIs: []uint32{256, 300}}, "network.c": {VNIs: []uint32{259}}},
		Facts:    Facts{VNIs: map[uint32]bool{257: true}},
	}
	wantDiagnostics(t, d.allocateTunnels(t, held))
	wantEqual(t, "the VNIs", [][]uint32{a.VNIs, b.VNIs, c.VNIs, e.VNIs}, [][]uint32{{258}, {256}, {259, 260}, {300}})
}

func TestVNIMistakes(t *testing.T) {
	d := newDraft()
	internalNetwork(d.span("a", map[string]string{"vnis": "[300]"}, subnet("10.1.0.0/24")))
	internalNetwork(d.span("b", map[string]string{"vnis": "[300]"}, subnet("10.2.0.0/24")))
	internalNetwork(d.span("c", map[string]string{"vnis": "[301, 301]"}, subnet("10.3.0.0/24"), subnet("10.4.0.0/24")))
	internalNetwork(d.span("e", map[string]string{"vnis": "[302]"}, subnet("10.5.0.0/24"), subnet("10.6.0.0/24")))
	internalNetwork(d.span("f", map[string]string{"vnis": "[303]"}, subnet("10.7.0.0/24")))
	wantDiagnostics(t, d.allocateTunnels(t, Held{Facts: Facts{VNIs: map[uint32]bool{303: true}}}),
		[]string{"network.b asks for the VNI 300", "network.a"},
		[]string{"network.c names the VNI 301 twice"},
		[]string{"network.e has 1 VNIs for 2 pairs of subnets"},
		[]string{"303", "another stack"})
}

// The claims of other stacks, and the kernel's own tunnels, are known.
func TestHeldVNIs(t *testing.T) {
	mine := state.Owner{Stack: "shop", Address: "network.a"}
	records, live := state.World{}, state.World{}
	records.Add(state.Foreign{K: state.VNIKey(256)}, state.Claim{VNI: 258, Mark: mine})
	live.Add(state.Link{Place: state.Netns("x"), Name: "vxlan0", Type: state.VXLAN, Mark: mine, Tunnel: state.Tunnel{VNI: 257}})
	held := HeldFrom(records, live, nil, Facts{})
	wantEqual(t, "taken", held.Facts.VNIs, map[uint32]bool{256: true})
	wantEqual(t, "held", held.Networks["network.a"].VNIs, []uint32{257, 258})
}

// Sandboxes on networks of tunnels get a way out, once, unless they have one, after their
// own interfaces.
func TestImpliedGateway(t *testing.T) {
	d := newDraft()
	d.span("zone", map[string]string{"gateway_subnet": `"172.30.0.0/24"`}, subnet("10.1.0.0/24"))
	d.span("more", nil, subnet("10.2.0.0/24"))
	internalNetwork(d.span("inner", nil, subnet("10.3.0.0/24")))
	d.network("front", "bridge", subnet("10.4.0.0/24"))
	d.endpoint("a1", "zone", "a")
	d.endpoint("a2", "more", "a")
	d.endpoint("b1", "zone", "b")
	d.endpoint("b2", "front", "b")
	d.endpoint("c1", "inner", "c")
	d.sandbox("e").Host = "h"
	d.endpoint("e1", "more", "e")
	d.endpoint("free", "more", "")
	wantDiagnostics(t, d.allocateTunnels(t, Held{}))
	type wayOut struct {
		Address state.Address
		In      state.Address
		IP      string
		Link    string
	}
	var got []wayOut
	for _, e := range d.Endpoints {
		if e.Implied {
			got = append(got, wayOut{e.Mark.Address, e.Sandbox, e.IPv4.String(), e.Interface})
		}
	}
	wantEqual(t, "the ways out", got, []wayOut{
		{`endpoint.gwbridge["a"]`, "sandbox.a", "172.30.0.2/24", "eth2"},
		{`endpoint.gwbridge["h/e"]`, "sandbox.e", "172.30.0.3/24", "eth1"},
	})
	n := d.Networks[len(d.Networks)-1]
	if !n.Implied || n.Mark.Address != "network.gwbridge" || n.Driver != "bridge" || string(n.Options["icc"]) != "false" ||
		n.Subnets[0].Gateway != netip.MustParseAddr("172.30.0.1") || n.Device == "" {
		t.Errorf("the gateway bridge is %+v", n.Network)
	}
}

func TestImpliedGatewayMistakes(t *testing.T) {
	d := newDraft()
	d.span("a", map[string]string{"gateway_subnet": `"172.30.0.0/24"`}, subnet("10.1.0.0/24"))
	d.span("b", map[string]string{"gateway_subnet": `"172.31.0.0/24"`}, subnet("10.2.0.0/24"))
	d.network("gwbridge", "bridge", subnet("10.4.0.0/24"))
	a := NewAllocator(tunnelTraits(), Held{})
	var got []string
	for _, g := range a.Networks(&d.Topology) {
		got = append(got, g.Summary+"; "+g.Detail)
	}
	wantDiagnostics(t, got, []string{"Two subnets for one gateway bridge", "network.b", "172.31.0.0/24", "network.a"}, []string{"Reserved name", "network.gwbridge"})
}

// The MTU of a host's underlay: as written, as measured here, as told by the host itself.
func TestUnderlayMTU(t *testing.T) {
	end := netip.MustParseAddr
	hosts := []*spec.Host{
		{Name: "a", VTEP: end("10.99.0.10")}, {Name: "b", VTEP: end("10.99.0.11")}, {Name: "c", VTEP: end("10.99.0.12"), MTU: 9000}, {Name: "e", VTEP: end("10.99.0.13")},
	}
	told := state.World{}
	told.Add(state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.a"}, Name: "a", MTU: 1500},
		state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.b"}, Name: "b", MTU: 1400})
	measureHosts(hosts, HeldFrom(told, nil, nil, Facts{
		HostAddresses: map[netip.Addr]string{end("10.99.0.10"): "eth0", end("10.99.0.12"): "eth0"}, MTUs: map[string]int{"eth0": 8000},
	}))
	var got []int
	for _, h := range hosts {
		got = append(got, h.MTU)
	}
	wantEqual(t, "the MTUs", got, []int{8000, 1400, 9000, 0})
}

// No subnet is chosen that holds the end of a tunnel, or what the host has on the way there.
func TestSubnetsBesideTheUnderlay(t *testing.T) {
	d := newDraft()
	d.Hosts = []*spec.Host{{Name: "a", VTEP: netip.MustParseAddr("10.0.0.10")}, {Name: "b", VTEP: netip.MustParseAddr("10.0.3.11")}}
	a, b, c := internalNetwork(d.span("a", nil)), internalNetwork(d.span("b", nil)), internalNetwork(d.span("c", nil))
	wantDiagnostics(t, d.allocateTunnels(t, Held{Facts: Facts{HostRoutes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/23"), netip.MustParsePrefix("0.0.0.0/0")}}}))
	wantEqual(t, "the subnets", []string{a.Subnets[0].CIDR.String(), b.Subnets[0].CIDR.String(), c.Subnets[0].CIDR.String()},
		[]string{"10.0.2.0/24", "10.0.4.0/24", "10.0.5.0/24"})
}

// The ends of an endpoint on a network of tunnels are told apart, on the host too.
func TestHeldEndsOfTunnelPorts(t *testing.T) {
	mark, space, box := state.Owner{Stack: "shop", Address: "endpoint.e"}, state.Netns("shop-demo.overlay"), state.Netns("shop-w")
	for name, in := range map[string]state.Place{"in a sandbox": box, "on the host": state.Host} {
		live := state.World{}
		live.Add(state.Namespace{Name: "shop-w", Mark: state.Owner{Stack: "shop", Address: "sandbox.w"}},
			state.Link{Place: space, Name: "veth1", Type: state.Veth, Mark: mark, Master: "br0", Peer: state.End{Place: in, Name: "ov0"}},
			state.Link{Place: in, Name: "ov0", Type: state.Veth, Mark: mark, Second: true, Peer: state.End{Place: space, Name: "veth1"}})
		held := HeldFrom(nil, live, nil, Facts{}).Endpoints["endpoint.e"]
		wantEqual(t, name, [][]string{held.Interfaces, held.HostInterfaces}, [][]string{{"ov0"}, {"veth1"}})
	}
}
