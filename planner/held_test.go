package planner

import (
	"net/netip"
	"testing"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

func ours(a state.Address) state.Owner { return state.Owner{Stack: "shop", Address: a} }

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, ip := range list {
		out = append(out, netip.MustParseAddr(ip))
	}
	return out
}

// liveWorld is one bridge with one attached endpoint, as the kernel would show it.
func liveWorld() state.World {
	live := state.World{}
	web := state.Netns("shop-web")
	live.Add(
		state.Namespace{Name: "shop-web", Mark: ours("sandbox.web")},
		state.Link{Place: state.Host, Name: "br-live", Type: state.Bridge, Mark: ours("network.front")},
		state.IPAddress{Place: state.Host, Link: "br-live", Prefix: netip.MustParsePrefix("10.1.0.1/24"), Mark: ours("network.front")},
		state.IPAddress{Place: state.Host, Link: "br-live", Prefix: netip.MustParsePrefix("fe80::1/64"), Mark: ours("network.front")},
		state.IPAddress{Place: state.Host, Link: "br-live", Prefix: netip.MustParsePrefix("192.0.2.1/32"), Mark: ours("network.front")},
		state.Link{Place: state.Host, Name: "vethlive", Type: state.Veth, Mark: ours("endpoint.web"), Master: "br-live",
			Peer: state.End{Place: web, Name: "eth0"}},
		state.Link{Place: web, Name: "eth0", Type: state.Veth, Mark: ours("endpoint.web"), Second: true,
			Peer: state.End{Place: state.Host, Name: "vethlive"}},
		state.IPAddress{Place: web, Link: "eth0", Prefix: netip.MustParsePrefix("10.1.0.5/24"), Mark: ours("endpoint.web")},
		state.IPAddress{Place: web, Link: "lo", Prefix: netip.MustParsePrefix("10.255.0.5/32"), Mark: ours("sandbox.web")},
		state.Link{Place: state.Host, Name: "vethhalf", Type: state.Veth, HalfMade: true},
		state.IPAddress{Place: state.Host, Link: "vethhalf", Prefix: netip.MustParsePrefix("10.1.0.66/24")},
		state.Foreign{K: state.LinkKey(state.Host, "docker0"), What: "a bridge that cnmctl did not make"},
	)
	return live
}

func records() state.World {
	w := state.World{}
	w.Add(
		state.Network{Mark: ours("network.front"), Device: "br-rec", Subnets: []state.Subnet{
			{CIDR: netip.MustParsePrefix("10.1.0.0/24"), Gateway: netip.MustParseAddr("10.1.0.254")}}},
		state.Endpoint{Mark: ours("endpoint.web"), IPv4: netip.MustParsePrefix("10.1.0.9/24"), Interface: "eth1", HostInterface: "vethrec"},
		state.Endpoint{Mark: ours("endpoint.db"), IPv4: netip.MustParsePrefix("10.1.0.10/24"), IPv6: netip.MustParsePrefix("fd00::2/64")},
		state.Claim{Network: "network.front", IP: netip.MustParseAddr("10.1.0.11"), Mark: ours("endpoint.new")},
		state.Claim{Network: "network.front", IP: netip.MustParseAddr("10.1.0.253"), Mark: ours("network.front")},
	)
	return w
}

func TestTheKernelAloneIsEnough(t *testing.T) {
	h := HeldFrom(nil, liveWorld(), nil, Facts{Links: map[string]bool{"br-live": true, "vethlive": true, "docker0": true}})
	wantEqual(t, "networks", h.Networks, map[state.Address]HeldNetwork{"network.front": {
		Devices: []string{"br-live"}, Subnets: prefixes("10.1.0.0/24"), Gateways: addrs("10.1.0.1", "192.0.2.1")}})
	wantEqual(t, "endpoints", h.Endpoints, map[state.Address]HeldEndpoint{"endpoint.web": {
		Addresses: addrs("10.1.0.5"), Interfaces: []string{"eth0"}, Sandbox: "sandbox.web", HostInterfaces: []string{"vethlive"}}})
	wantEqual(t, "links", h.Facts.Links, map[string]bool{"docker0": true})
}

func TestTheStoreAloneIsEnough(t *testing.T) {
	h := HeldFrom(records(), nil, nil, Facts{})
	wantEqual(t, "networks", h.Networks, map[state.Address]HeldNetwork{"network.front": {
		Devices: []string{"br-rec"}, Subnets: prefixes("10.1.0.0/24"), Gateways: addrs("10.1.0.254", "10.1.0.253")}})
	wantEqual(t, "endpoints", h.Endpoints, map[state.Address]HeldEndpoint{
		"endpoint.web": {Addresses: addrs("10.1.0.9"), Interfaces: []string{"eth1"}, HostInterfaces: []string{"vethrec"}},
		"endpoint.db":  {Addresses: addrs("10.1.0.10", "fd00::2")},
		"endpoint.new": {Addresses: addrs("10.1.0.11")},
	})
}

// TestClaimedPortsAreKept: a claim that was put back says where its port leads; others follow
// the endpoint's record.
func TestClaimedPortsAreKept(t *testing.T) {
	w := state.World{}
	w.Add(
		state.Claim{Port: state.Port{Protocol: "tcp", Host: 8003, Container: 80, Count: 1}, OnHost: "b", Mark: ours("endpoint.web")},
		state.Claim{Port: state.Port{Protocol: "tcp", Host: 8004, Count: 1}, OnHost: "b", Mark: ours("endpoint.web")},
	)
	d := newDraft()
	d.network("front", "bridge", subnet("10.1.0.0/24"))
	web := d.endpoint("web", "front", "web")
	addPort(web, state.Port{Address: netip.IPv4Unspecified()}, 8000, 8010)
	addPort(web, state.Port{Container: 90}, 8000, 8010)
	d.mustAllocate(t, HeldFrom(w, nil, nil, Facts{}))
	wantEqual(t, "ports", chosenPorts(web), []uint16{8003, 8000})
}

func TestTheKernelWins(t *testing.T) {
	h := HeldFrom(records(), liveWorld(), nil, Facts{})
	wantEqual(t, "web", h.Endpoints["endpoint.web"], HeldEndpoint{
		Addresses: addrs("10.1.0.5", "10.1.0.9"), Interfaces: []string{"eth0", "eth1"}, Sandbox: "sandbox.web", HostInterfaces: []string{"vethlive", "vethrec"}})
	wantEqual(t, "front", h.Networks["network.front"].Gateways, addrs("10.1.0.1", "192.0.2.1", "10.1.0.254", "10.1.0.253"))

	live := liveWorld()
	live.Add(state.IPAddress{Place: state.Netns("shop-web"), Link: "eth0", Prefix: netip.MustParsePrefix("10.1.0.9/24")})
	h = HeldFrom(records(), live, nil, Facts{})
	wantEqual(t, "what both know comes first", h.Endpoints["endpoint.web"].Addresses, addrs("10.1.0.9", "10.1.0.5"))
}

func TestAHostSandboxHasBothEndsOnTheHost(t *testing.T) {
	live := state.World{}
	live.Add(
		state.Link{Place: state.Host, Name: "eth2", Type: state.Veth, Mark: ours("endpoint.a"), Second: true, Peer: state.End{Place: state.Host, Name: "vetha"}},
		state.Link{Place: state.Host, Name: "vetha", Type: state.Veth, Mark: ours("endpoint.a"), Master: "br0", Peer: state.End{Place: state.Host, Name: "eth2"}})
	wantEqual(t, "ends", HeldFrom(nil, live, nil, Facts{}).Endpoints["endpoint.a"],
		HeldEndpoint{Interfaces: []string{"eth2"}, HostInterfaces: []string{"vetha"}})
}

func TestTheEndsOfACableAreInterfaces(t *testing.T) {
	live := state.World{}
	live.Add(
		state.Link{Place: state.Host, Name: "up", Type: state.Veth, Mark: ours("endpoint.host"), Peer: state.End{Place: state.Netns("a"), Name: "eth0"}},
		state.Link{Place: state.Netns("a"), Name: "eth0", Type: state.Veth, Mark: ours("endpoint.a"), Second: true, Peer: state.End{Place: state.Host, Name: "up"}})
	wantEqual(t, "ends", HeldFrom(nil, live, nil, Facts{}).Endpoints, map[state.Address]HeldEndpoint{
		"endpoint.host": {Interfaces: []string{"up"}}, "endpoint.a": {Interfaces: []string{"eth0"}}})
}

func TestAnAdoptedBridgeTellsWhatItsNetworkHolds(t *testing.T) {
	live := state.World{}
	live.Add(
		state.Foreign{K: state.LinkKey(state.Host, "br0"), What: "a bridge that cnmctl did not make"},
		state.IPAddress{Place: state.Host, Link: "br0", Prefix: netip.MustParsePrefix("172.20.0.9/16"), Mark: ours(""), Loan: true})
	d := newDraft()
	d.network("a", "bridge")
	d.network("b", "bridge").Options = state.Options{"name": []byte(`"br0"`), "adopt": []byte("true")}
	d.mustAllocate(t, HeldFrom(nil, live, nil, Facts{HostRoutes: prefixes("172.20.0.0/16"), Links: map[string]bool{"br0": true}}))
	wantEqual(t, "subnets", cidrs(d), map[string][]string{"a": {"172.17.0.0/16"}, "b": {"172.20.0.0/16"}})
	wantEqual(t, "gateway", d.Networks[1].Subnets[0].Gateway.String(), "172.20.0.9")
}

func TestAnEndpointThatChangesItsSandboxTakesNoName(t *testing.T) {
	for _, moves := range [][]spec.Move{nil, {{From: "sandbox.old", To: "sandbox.s"}}} {
		d := newDraft()
		d.network("front", "bridge", subnet("10.0.0.0/24"))
		newcomer, there := d.endpoint("a", "front", "s"), d.endpoint("b", "front", "s")
		d.Moves = moves
		d.mustAllocate(t, Held{Endpoints: map[state.Address]HeldEndpoint{
			"endpoint.a": {Interfaces: []string{"eth0"}, Sandbox: "sandbox.old"},
			"endpoint.b": {Interfaces: []string{"eth0", "eth3"}, Sandbox: "sandbox.s"},
		}})
		want := []string{"eth1", "eth0"}
		if moves != nil {
			want = []string{"eth0", "eth3"} // it is the same sandbox under a new name
		}
		wantEqual(t, "interfaces", []string{newcomer.Interface, there.Interface}, want)
	}
}

func TestMovedBlocksKeepWhatTheyHold(t *testing.T) {
	h := Held{Endpoints: map[state.Address]HeldEndpoint{}}
	for i, a := range []state.Address{"endpoint.a", `endpoint.b["x"]`, "module.m.endpoint.c", "endpoint.taken", "endpoint.to", "endpoint.bb"} {
		h.Endpoints[a] = HeldEndpoint{Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}}
	}
	moves := []spec.Move{
		{From: "endpoint.a2", To: "endpoint.a3"},
		{From: "endpoint.a", To: "endpoint.a2"},
		{From: "endpoint.b", To: "endpoint.d"},
		{From: "module.m", To: "module.n"},
		{From: "endpoint.taken", To: "endpoint.to"},
		{From: "endpoint.p", To: "endpoint.q"},
		{From: "endpoint.q", To: "endpoint.p"},
	}
	for range 2 { // moving twice is moving once
		h = h.moved(moves)
		got := map[state.Address]string{}
		for a, e := range h.Endpoints {
			got[a] = e.Addresses[0].String()
		}
		wantEqual(t, "held", got, map[state.Address]string{"endpoint.a3": "10.0.0.0", `endpoint.d["x"]`: "10.0.0.1",
			"module.n.endpoint.c": "10.0.0.2", "endpoint.taken": "10.0.0.3", "endpoint.to": "10.0.0.4", "endpoint.bb": "10.0.0.5"})
	}

	d := newDraft()
	d.network("front", "bridge", subnet("10.0.0.0/24"))
	d.endpoint("new", "front", "")
	d.Moves = []spec.Move{{From: "endpoint.old", To: "endpoint.new"}}
	d.mustAllocate(t, Held{Endpoints: map[state.Address]HeldEndpoint{"endpoint.old": {Addresses: addrs("10.0.0.40")}}})
	wantEqual(t, "moved by the topology", d.Endpoints[0].IPv4.String(), "10.0.0.40/24")
}
