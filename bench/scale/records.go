package main

import (
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

const stack = "scale"

func mark(kind, name string) state.Owner {
	return state.Owner{Stack: stack, Address: state.Address(kind + "." + name)}
}

func hostName(i int) string { return fmt.Sprintf("h%d", i) }

// records are the cluster's. Network n is on the hosts from n on; on each of them its
// endpoints share a sandbox of their own.
func records(s size) (all []state.Object) {
	for h := range s.hosts {
		all = append(all, state.HostRecord{
			Mark: mark("host", hostName(h)), Name: hostName(h), MTU: state.EthernetMTU,
			VTEP: netip.AddrFrom4([4]byte{10, 99, byte(h >> 8), byte(h)}),
		})
	}
	for n := range s.networks {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(11 + n>>8), byte(n), 0, 0}), 16)
		all = append(all, state.Network{
			Mark: mark("network", fmt.Sprintf("n%d", n)), Name: fmt.Sprintf("n%d", n), Driver: "overlay", Prefix: "eth", Internal: true,
			Options: state.Options{}, VNIs: []uint32{uint32(256 + n)},
			Subnets: []state.Subnet{{CIDR: cidr, Gateway: cidr.Addr().Next()}},
		})
		for i := range s.span {
			all = append(all, sandbox(s, n, i))
		}
	}
	for e := range s.endpoints {
		all = append(all, endpoint(s, e))
	}
	return all
}

func sandbox(s size, n, i int) state.Sandbox {
	name := fmt.Sprintf("s%d-%d", n, i)
	return state.Sandbox{Mark: mark("sandbox", name), Name: name, Netns: stack + "-" + name, Host: hostName((n + i) % s.hosts)}
}

// endpoint e is the k-th of its network.
func endpoint(s size, e int) state.Endpoint {
	n, k := e%s.networks, e/s.networks
	box := sandbox(s, n, k%s.span)
	name := fmt.Sprintf("e%d-%d", n, k)
	ip := netip.AddrFrom4([4]byte{byte(11 + n>>8), byte(n), byte((k + 2) >> 8), byte(k + 2)})
	return state.Endpoint{
		Mark: mark("endpoint", name), Name: name, Network: mark("network", fmt.Sprintf("n%d", n)).Address,
		Sandbox: box.Mark.Address, Host: box.Host, IPv4: netip.PrefixFrom(ip, 16),
		MAC:       state.MAC{0x02, 0x42, byte(n >> 8), byte(n), byte(k >> 8), byte(k)},
		Interface: fmt.Sprintf("eth%d", k/s.span), HostInterface: fmt.Sprintf("v%x", e),
	}
}

// oneMore is the endpoint that comes last, on network 0.
func oneMore(s size) state.Object {
	k := (s.endpoints + s.networks - 1) / s.networks
	return endpoint(s, k*s.networks)
}
