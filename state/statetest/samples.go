package statetest

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

func mark(a state.Address) state.Owner { return state.Owner{Stack: Stack, Address: a} }

// claim is a claim of holder on the address 10.1.0.n of network.front.
func claim(holder state.Address, n byte) state.Claim {
	return state.Claim{Network: "network.front", IP: netip.AddrFrom4([4]byte{10, 1, 0, n}), Mark: mark(holder)}
}

// record is a small record.
func record(name string) state.Network {
	return state.Network{Mark: mark(state.Address("network." + name)), Name: name, Driver: "bridge"}
}

// samples is one object of each kind, with every field in use: a network first, then its
// endpoint.
func samples() []state.Object {
	ip, prefix := netip.MustParseAddr, netip.MustParsePrefix
	labels := map[string]string{"team": "a \"b\"\n<&>", "": "ü"}
	network := state.Network{
		Mark: mark("network.front"), Name: "front", Driver: "bridge", Device: "br-front",
		Subnets: []state.Subnet{
			{CIDR: prefix("10.1.0.0/24"), Gateway: ip("10.1.0.1"), Range: prefix("10.1.0.128/25"),
				Reserved: map[string]netip.Addr{"printer": ip("10.1.0.9")}},
			{CIDR: prefix("fd00::/64")},
		},
		VNIs: []uint32{256, 257}, Implied: true,
		Internal: true, NoIPv4: true, IPv6: true, MTU: 1400, Prefix: "eth",
		Options: state.Options{"icc": json.RawMessage(`false`), "name": json.RawMessage(`"br-front"`), "list": json.RawMessage(`[1,{"a":null}]`)},
		Labels:  labels, Protected: true, Hidden: []string{"labels"},
	}
	endpoint := state.Endpoint{
		Mark: mark(`endpoint.web["a|b c"]`), Name: "web", Network: "network.front", Sandbox: "sandbox.web", Host: "a",
		IPv4: prefix("10.1.0.2/24"), IPv6: prefix("fd00::2/64"), MAC: state.MAC{2, 0x42, 10, 1, 0, 2},
		Interface: "eth0", HostInterface: "veth0", Aliases: []string{"www"}, Priority: -1,
		LinkLocal: []netip.Addr{ip("169.254.7.7"), ip("fe80::7")}, Nameless: true, VRF: "red",
		Sysctls: map[string]string{"net.ipv4.conf.IFNAME.rp_filter": "0"},
		Ports:   []state.Port{{Protocol: "udp", Address: ip("192.0.2.1"), Host: 8080, Container: 80, Count: 2}},
		Options: state.Options{"hairpin": json.RawMessage(`true`)}, Labels: labels, Protected: true, Hidden: []string{"labels"},
		Implied: true, Service: &state.Service{Name: "web", Port: 80, Tags: []string{"v1", "v2"}, Check: "/health", Interval: 10 * time.Second},
	}
	sandbox := state.Sandbox{
		Mark: mark("module.m[0].sandbox.web"), Name: "web", Host: "a", Netns: "contract-web", Hostname: "www",
		VRFs:       map[string]uint32{"red": 10, "blue": 1 << 31},
		Loopback:   []netip.Prefix{prefix("10.255.0.1/32")},
		Routes:     []state.StaticRoute{{To: prefix("0.0.0.0/0"), Via: ip("10.1.0.1"), Dev: "eth0", Src: ip("10.1.0.2"), Metric: 5, Table: 100, Type: state.Blackhole, OnLink: true}},
		Rules:      []state.PolicyRule{{Priority: 10, From: prefix("10.1.0.0/24"), To: prefix("fd00::/8"), IPv6: true, Iif: "a", Oif: "b", FwMark: 3, Table: 100}},
		Neighbors:  []state.StaticNeighbor{{Dev: "eth0", IP: ip("10.1.0.3"), MAC: state.MAC{2, 1}}},
		Sysctls:    map[string]string{"net.ipv4.ip_forward": "1"},
		ExtraHosts: map[string]netip.Addr{"db": ip("fd00::9")},
		DNS:        state.DNS{Servers: []netip.Addr{ip("10.1.0.53")}, Search: []string{"lan"}, Options: []string{"ndots:0"}},
		Labels:     labels, Protected: true, Hidden: []string{"labels", "route"},
	}
	policy := state.Policy{
		Mark: mark(`policy.p["x"]`), Labels: labels, Protected: true, Hidden: []string{"deny"},
		Rules: []state.FlowRule{{
			Deny: true, Protocol: "tcp", Ports: []state.PortRange{{First: 80, Last: 80}, {First: 8000, Last: 8009}},
			From: []state.Peer{{Block: "network.front", Prefixes: []netip.Prefix{prefix("10.1.0.0/24"), prefix("fd00::/64")}}},
			To:   []state.Peer{{Prefixes: []netip.Prefix{prefix("192.0.2.0/24")}}},
		}},
	}
	return []state.Object{network, endpoint, sandbox, policy, state.Endpoint{Mark: mark("endpoint.bare")}, claim(endpoint.Mark.Address, 2),
		state.Claim{Network: "network.front", IP: ip("fd00::2"), Mark: endpoint.Mark},
		state.Claim{VNI: 256, Mark: network.Mark},
		state.Claim{Port: state.Port{Protocol: "tcp", Host: 8080, Count: 1}, OnHost: "a", Mark: endpoint.Mark},
		state.Claim{Port: state.Port{Protocol: "udp", Address: ip("fd00::1"), Host: 53, Count: 1}, Mark: endpoint.Mark}, state.HostRecord{Mark: mark("host.a"), Name: "a", VTEP: ip("10.99.0.10"), MTU: 1500},
		state.Output{Mark: mark("output.urls"), Type: json.RawMessage(`["map","string"]`), Value: json.RawMessage(`{"a":"http://\u003c\"x\"\u003e/ü","b":null}`)},
		state.Output{Mark: mark("output.key"), Type: json.RawMessage(`"string"`), Value: json.RawMessage(`"s3cret"`), Sensitive: true},
		state.Keyring{First: 1, Last: 2, Sending: 1, Mark: mark("")}}
}

func creates(objects ...state.Object) []state.Op {
	ops := make([]state.Op, len(objects))
	for i, o := range objects {
		ops[i] = state.Op{Action: state.Create, Key: o.Key(), After: o}
	}
	return ops
}

func deletes(objects ...state.Object) []state.Op {
	ops := make([]state.Op, len(objects))
	for i, o := range objects {
		ops[i] = state.Op{Action: state.Delete, Key: o.Key(), Before: o}
	}
	return ops
}
