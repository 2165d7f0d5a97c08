package planner

import (
	"net/netip"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

func TestWrittenAddresses(t *testing.T) {
	d := newDraft()
	s := subnet("10.1.0.0/24")
	s.Reserved = map[string]netip.Addr{"printer": netip.MustParseAddr("10.1.0.9")}
	d.network("front", "bridge", s, subnet("fd01::/64"))
	ok := d.endpoint("a", "front", "")
	ok.IPv4, ok.IPv6 = only("10.1.0.5"), only("fd01::5")
	for name, ip := range map[string]string{"b": "10.1.0.5", "c": "10.2.0.5", "d": "10.1.0.1", "e": "10.1.0.0", "f": "10.1.0.255", "g": "10.1.0.9"} {
		d.endpoint(name, "front", "").IPv4 = only(ip)
	}
	six := d.endpoint("h", "front", "")
	six.IPv6 = only("fd01::")
	d.network("four", "bridge", subnet("10.9.0.0/24"))
	d.endpoint("i", "four", "").IPv6 = only("fd01::7")
	wantDiagnostics(t, d.allocate(Held{}),
		[]string{"3: Address already in use", "endpoint.b asks for 10.1.0.5", "endpoint.a (main.hcl:23)", "network.front", "leave ipv4 out"},
		[]string{"outside", "endpoint.c asks for 10.2.0.5", "(10.1.0.0/24)"},
		[]string{"not available", "endpoint.d", "the gateway"},
		[]string{"endpoint.e", "the network's own address"},
		[]string{"endpoint.f", "the broadcast address"},
		[]string{"endpoint.g", `reserved as "printer"`},
		[]string{"4: Address not available", "endpoint.h", "anycast address"},
		[]string{"outside", "endpoint.i asks for fd01::7", "network.four has no IPv6 subnet"})
	wantEqual(t, "length", ok.IPv4.String()+" "+ok.IPv6.String(), "10.1.0.5/24 fd01::5/64")
	wantEqual(t, "chosen beside a bad one", six.IPv4.String(), "10.1.0.2/24")
}

func TestHeldAddresses(t *testing.T) {
	d := newDraft()
	s := subnet("10.1.0.0/24")
	s.Reserved = map[string]netip.Addr{"printer": netip.MustParseAddr("10.1.0.9")}
	d.network("front", "bridge", s)
	written := d.endpoint("written", "front", "")
	written.IPv4 = only("10.1.0.7")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		d.endpoint(name, "front", "")
	}
	hold := func(ips ...string) HeldEndpoint {
		var h HeldEndpoint
		for _, ip := range ips {
			h.Addresses = append(h.Addresses, netip.MustParseAddr(ip))
		}
		return h
	}
	d.mustAllocate(t, Held{Endpoints: map[state.Address]HeldEndpoint{
		"endpoint.a":       hold("10.1.0.7", "10.1.0.8"), // the first is written elsewhere
		"endpoint.b":       hold("10.1.0.8", "10.1.0.200"),
		"endpoint.c":       hold("10.2.0.3", "10.1.0.1", "10.1.0.9", "10.1.0.255"), // none valid
		"endpoint.d":       hold("fd00::1", "10.1.0.2"),
		"endpoint.written": hold("10.1.0.77"),
	}})
	var got []string
	for _, e := range d.Endpoints {
		got = append(got, e.IPv4.Addr().String())
	}
	wantEqual(t, "addresses", got, []string{"10.1.0.7", "10.1.0.8", "10.1.0.200", "10.1.0.3", "10.1.0.2", "10.1.0.4"})
}

func TestSubnetsAreUsedInOrder(t *testing.T) {
	d := newDraft()
	small := subnet("10.1.0.0/29")
	small.Range = netip.MustParsePrefix("10.1.0.4/30")
	d.network("front", "bridge", small, subnet("10.2.0.0/30"))
	for _, name := range []string{"a", "b", "c"} {
		d.endpoint(name, "front", "")
	}
	d.mustAllocate(t, Held{})
	var got []string
	for _, e := range d.Endpoints {
		got = append(got, e.IPv4.String())
	}
	// 10.1.0.4 is the gateway: the first free address of the range; .7 is the broadcast.
	wantEqual(t, "addresses", got, []string{"10.1.0.5/29", "10.1.0.6/29", "10.2.0.2/30"})
}

func TestExhaustedSubnets(t *testing.T) {
	d := newDraft()
	d.network("front", "bridge", subnet("10.1.0.0/30"), subnet("10.2.0.0/30"), subnet("255.255.255.255/32"))
	for _, name := range []string{"a", "b", "c", "d"} {
		d.endpoint(name, "front", "")
	}
	wantDiagnostics(t, d.allocate(Held{}), []string{"No free address", "network.front (main.hcl:10)", "endpoint.c and 1 more",
		"10.1.0.0/30: 1 in use, 10.2.0.0/30: 1 in use", "255.255.255.255/32: 0 in use", "Widen the subnet"})
}
