package drivers

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Objects that several drivers make the same way.

// Inner is the end of the endpoint's veth pair that is in its sandbox. It is born there,
// with its final name, when the other end is made.
func Inner(n state.Network, e Attached, outer state.End) state.Link {
	return state.Link{
		Place: e.In.Place(), Name: e.Interface, Mark: e.Mark, Type: state.Veth,
		MTU: MTU(n), MAC: e.MAC, Up: true, NoIPv6: !e.HasIPv6(),
		Peer: outer, Second: true,
	}
}

// MTU is that of the network's links. It is always said, so that taking `mtu` out of a
// configuration sets them back.
func MTU(n state.Network) int {
	if n.MTU == 0 {
		return state.EthernetMTU
	}
	return n.MTU
}

// OuterMAC is the address of the other end: that of the sandbox's end with a first byte
// that no automatic address has. It has to be set, see Link.MAC, and may never be that of
// an endpoint, because a bridge keeps its ports' own addresses for itself.
func OuterMAC(inner state.MAC) state.MAC {
	const first, second = 0xfe, 0xfa
	outer := inner
	outer[0] = first
	if inner[0] == first {
		outer[0] = second
	}
	return outer
}

// GatewayMAC is that of the bridge with the network's gateways: by libnetwork's rule made
// of the gateway's address, so that it differs from that of every endpoint, and is the same
// everywhere; without an IPv4 gateway, of the seed.
func GatewayMAC(n state.Network, seed string) state.MAC {
	for _, s := range n.Subnets {
		if s.Gateway.Is4() {
			b := s.Gateway.As4()
			return state.MAC{0x02, 0x42, b[0], b[1], b[2], b[3]}
		}
	}
	return seededMAC(0x43, seed)
}

// seededMAC is a MAC made of a text; second tells the uses apart.
func seededMAC(second byte, seed string) state.MAC {
	h := fnv.New32a()
	h.Write([]byte(seed))
	sum := h.Sum(nil)
	return state.MAC{0x02, second, sum[0], sum[1], sum[2], sum[3]}
}

// Addresses are the endpoint's own, on its interface.
func Addresses(e Attached) []state.Object {
	var objects []state.Object
	for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
		if p.IsValid() {
			objects = append(objects, state.IPAddress{Place: e.In.Place(), Link: e.Interface, Prefix: p, Mark: e.Mark})
		}
	}
	for _, ip := range e.LinkLocal {
		objects = append(objects, state.IPAddress{
			Place: e.In.Place(), Link: e.Interface, Prefix: linkLocalPrefix(ip), Mark: e.Mark, LinkScope: ip.Is4(),
		})
	}
	return objects
}

// linkLocalPrefix is a link-local address with the length of its subnet (RFC 3927, RFC 4291).
func linkLocalPrefix(ip netip.Addr) netip.Prefix {
	if ip.Is4() {
		return netip.PrefixFrom(ip, 16)
	}
	return netip.PrefixFrom(ip, 64)
}

// Gateway is the gateway of the subnet that the endpoint's address is in.
func Gateway(n state.Network, ip netip.Prefix) netip.Addr {
	if !ip.IsValid() {
		return netip.Addr{}
	}
	for _, s := range n.Subnets {
		if s.CIDR.Contains(ip.Addr()) {
			return s.Gateway
		}
	}
	return netip.Addr{}
}

// Has reports that the network has a subnet of the family.
func Has(n state.Network, ipv6 bool) bool {
	return slices.ContainsFunc(n.Subnets, func(s state.Subnet) bool { return s.CIDR.Addr().Is6() == ipv6 })
}

// Forwarding are the switches that make the host route for the network: on for good once
// any network needs them.
func Forwarding(stack string, n state.Network) []state.Object {
	var objects []state.Object
	for _, f := range []struct {
		ipv6 bool
		path string
	}{{false, "net/ipv4/ip_forward"}, {true, "net/ipv6/conf/all/forwarding"}} {
		if Has(n, f.ipv6) {
			objects = append(objects, state.Sysctl{
				Place: state.Host, Path: f.path, Value: "1", Mark: state.Owner{Stack: stack}, Keep: true,
			})
		}
	}
	return objects
}

// CheckInterfaceName refuses what the kernel would refuse as an interface's name
// (dev_valid_name), and what would confuse people.
func CheckInterfaceName(name string) error {
	const max = 15 // IFNAMSIZ of linux/if.h less the NUL
	switch {
	case name == "":
		return fmt.Errorf("the name is empty; leave it out to have one made")
	case len(name) > max:
		return fmt.Errorf("%q has %d bytes; the kernel allows %d", name, len(name), max)
	case name == "." || name == ".." || name == "lo" || name == "all" || name == "default":
		return fmt.Errorf("%q means something else to the kernel; choose another name", name)
	}
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || r == '/' || r == ':' || r == '"' || r == '@' || r == '%' || r == '*' || r == '\\' {
			return fmt.Errorf("%q holds %q; use letters, digits, \"-\", \"_\" and \".\"", name, r)
		}
	}
	return nil
}
