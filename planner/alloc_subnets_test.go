package planner

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func cidrs(d *draft) map[string][]string {
	out := map[string][]string{}
	for _, n := range d.Networks {
		for _, s := range n.Subnets {
			out[n.Name] = append(out[n.Name], s.CIDR.String())
		}
	}
	return out
}

func TestDefaultPoolsAreLibnetworks(t *testing.T) {
	d := newDraft()
	for i := range 31 {
		d.network(fmt.Sprintf("n%d", i), "bridge")
	}
	d.network("over", "overlay")
	d.mustAllocate(t, Held{})
	for i, n := range d.Networks[:31] {
		want := fmt.Sprintf("172.%d.0.0/16", 17+i)
		if i >= 15 {
			want = fmt.Sprintf("192.168.%d.0/20", (i-15)*16)
		}
		if got := n.Subnets[0].CIDR.String(); got != want {
			t.Errorf("subnet %d is %s, want %s", i, got, want)
		}
	}
	wantEqual(t, "overlay", cidrs(d)["over"], []string{"10.0.0.0/24"})

	d = newDraft()
	for i := range 33 {
		d.network(fmt.Sprintf("n%d", i), "bridge")
	}
	wantDiagnostics(t, d.allocate(Held{}),
		[]string{"No free subnet", "172.17.0.0/16, ", "192.168.0.0/16 cut to /20", "network.n31", "Write a subnet"},
		[]string{"network.n32"})
}

func TestPoolsAvoidTheHost(t *testing.T) {
	d := newDraft()
	d.network("a", "bridge")
	d.network("b", "bridge")
	d.network("over", "overlay")
	d.network("written", "bridge", subnet("172.20.0.0/24"))
	d.mustAllocate(t, Held{Facts: Facts{
		HostRoutes:  prefixes("0.0.0.0/0", "172.17.5.0/24", "172.18.0.0/15", "10.0.0.0/24", "::/0"),
		Nameservers: []netip.Addr{netip.MustParseAddr("172.21.0.53"), netip.MustParseAddr("::ffff:172.23.0.1"), netip.MustParseAddr("fe80::1%eth0")},
	}})
	wantEqual(t, "subnets", cidrs(d), map[string][]string{
		"a": {"172.22.0.0/16"}, "b": {"172.24.0.0/16"}, "over": {"10.0.0.0/24"}, "written": {"172.20.0.0/24"}})
}

func TestPoolsOfTheConfiguration(t *testing.T) {
	d := newDraft()
	d.Pools = []spec.Pool{
		{Base: netip.MustParsePrefix("10.8.0.0/30"), Size: 24}, // cannot be cut so: empty
		{Base: netip.MustParsePrefix("10.9.1.0/23"), Size: 24},
		{Base: netip.MustParsePrefix("255.255.255.0/24"), Size: 24},
		{Base: netip.MustParsePrefix("fd09::/16"), Size: 64},
	}
	d.network("a", "bridge").IPv6 = true
	d.network("b", "overlay")
	d.network("c", "bridge")
	d.mustAllocate(t, Held{})
	wantEqual(t, "subnets", cidrs(d), map[string][]string{
		"a": {"10.9.0.0/24", "fd09::/64"}, "b": {"10.9.1.0/24"}, "c": {"255.255.255.0/24"}})
	d.network("z", "bridge")
	wantDiagnostics(t, d.allocate(Held{}), []string{"No free subnet", "network.z", "10.9.1.0/23 cut to /24, 255.255.255.0/24)"})
}

func TestHeldSubnets(t *testing.T) {
	d := newDraft()
	d.network("a", "bridge").IPv6 = true
	d.network("b", "bridge")
	d.network("c", "bridge")
	d.network("six", "bridge").NoIPv4 = true
	d.network("w", "bridge", subnet("172.31.1.0/24"))
	held := Held{
		Networks: map[state.Address]HeldNetwork{
			"network.a":   {Subnets: prefixes("fd77::/64", "172.30.0.0/16"), Gateways: []netip.Addr{netip.MustParseAddr("172.30.7.7")}},
			"network.b":   {Subnets: prefixes("172.31.0.0/16")}, // w took it
			"network.c":   {Subnets: prefixes("172.30.0.0/16", "172.19.0.0/16", "172.20.0.0/16")},
			"network.six": {Subnets: prefixes("172.29.0.0/16")},
		},
		Facts: Facts{HostRoutes: prefixes("172.30.0.0/16")},
	}
	wantDiagnostics(t, d.allocate(held), []string{"warning 10:", "172.30.0.0/16", "network.a"})
	wantEqual(t, "subnets", cidrs(d), map[string][]string{
		"a": {"fd77::/64", "172.30.0.0/16"}, "b": {"172.17.0.0/16"}, "c": {"172.19.0.0/16"}, "w": {"172.31.1.0/24"}})
	wantEqual(t, "held gateway", d.Networks[0].Subnets[1].Gateway.String(), "172.30.7.7")
}

func TestUniqueLocalSubnets(t *testing.T) {
	first := uniqueLocal("shop", "network.a", 0)
	d := newDraft()
	d.network("a", "bridge").IPv6 = true
	d.network("b", "bridge", state.Subnet{CIDR: first})
	d.mustAllocate(t, Held{})
	wantEqual(t, "after a collision", cidrs(d)["a"][1], uniqueLocal("shop", "network.a", 1).String())
	if uniqueLocal("shop", "network.a", 0) != first || uniqueLocal("shop2", "network.a", 0) == first {
		t.Error("not a function of stack and network")
	}

	d = newDraft()
	d.network("a", "bridge").IPv6 = true
	wantDiagnostics(t, d.allocate(Held{Facts: Facts{HostRoutes: prefixes("fd00::/8")}}), []string{"No free subnet", "fd00::/8"})
}

func TestWrittenSubnets(t *testing.T) {
	d := newDraft()
	d.network("a", "bridge", subnet("10.1.0.0/16"))
	d.network("b", "bridge", subnet("10.1.5.0/24"))
	d.network("c", "bridge", subnet("10.3.0.0/24"), subnet("10.3.0.0/25"))
	d.network("d", "bridge", subnet("192.0.2.0/24"))
	d.network("e", "bridge", subnet("192.0.3.0/24")).Options = state.Options{"adopt": []byte("true")}
	d.network("f", "overlay", subnet("192.0.4.0/24")) // not a route of the host
	d.network("g", "ptp", subnet("192.0.5.0/31"))
	d.endpoint("g1", "g", "g1")
	d.endpoint("g2", "g", "g2")
	d.network("h", "bridge", subnet("192.0.6.0/24"))
	wantDiagnostics(t, d.allocate(Held{Facts: Facts{HostRoutes: prefixes("192.0.2.128/25", "192.0.3.0/24", "192.0.4.0/23"), Nameservers: addrs("192.0.6.53")}}),
		[]string{"error 32: Overlapping", "of network.c overlap"},
		[]string{"warning 41:", "192.0.2.128/25", "network.d"},
		[]string{"warning", "192.0.6.53/32", "network.h"})
}

func TestGateways(t *testing.T) {
	reserved := state.Subnet{CIDR: netip.MustParsePrefix("10.1.0.0/24"), Range: netip.MustParsePrefix("10.1.0.128/25"),
		Reserved: map[string]netip.Addr{"printer": netip.MustParseAddr("10.1.0.128")}}
	d := newDraft()
	a := d.network("a", "bridge", reserved)
	b := d.network("b", "bridge", subnet("10.2.0.0/31"))
	p := d.network("p", "ptp", subnet("10.3.0.0/30"))
	d.endpoint("x", "p", "x")
	d.endpoint("y", "p", "y")
	held := Held{Networks: map[state.Address]HeldNetwork{"network.a": {Gateways: []netip.Addr{reserved.Reserved["printer"]}}}}
	d.mustAllocate(t, held)
	wantEqual(t, "gateways", []string{a.Subnets[0].Gateway.String(), b.Subnets[0].Gateway.String(), p.Subnets[0].Gateway.String()},
		[]string{"10.1.0.129", "10.2.0.0", "invalid IP"})

	d = newDraft()
	full := d.network("n4", "bridge", subnet("10.5.0.1/32"))
	full.Subnets[0].Reserved = map[string]netip.Addr{"all": netip.MustParseAddr("10.5.0.1")}
	wantDiagnostics(t, d.allocate(Held{}),
		[]string{"No address for the gateway", "network.n4", "10.5.0.1/32"})
}
