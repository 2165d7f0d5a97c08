// Package overlay carries a network across hosts: frames between them travel in UDP packets
// (VXLAN, RFC 7348). On each host with an endpoint there, the network is a namespace of its
// own with a bridge, a VXLAN device for each subnet, and a port for each endpoint. Who is
// where is written down on every host: nothing is learned, asked for or flooded.
package overlay

import (
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// Driver is the overlay driver.
type Driver struct{}

var _ drivers.Driver = Driver{}

// Traits of a network of the whole cluster, whose sandboxes get out by a bridge network.
func (Driver) Traits() drivers.Traits {
	return drivers.Traits{
		Global: true, Pools: true, Gateway: true, Links: true, HostLinks: true, Tunnels: true, WayOut: "bridge",
	}
}

// network is a network with its options decoded, as one host sees it.
type network struct {
	drivers.View
	options
	place state.Place
}

// device is the bridge in the network's namespace.
const device = "br0"

// Expand makes this host's share: nothing where the network has no endpoint.
func (Driver) Expand(v drivers.View) (drivers.Expansion, error) {
	o, err := decode(v.Network.Options)
	if err != nil {
		return drivers.Expansion{}, err
	}
	if len(v.Endpoints) == 0 {
		return drivers.Expansion{}, nil
	}
	if len(v.Network.VNIs) < segments(v.Network) {
		return drivers.Expansion{}, fmt.Errorf("the network has %d VNIs for %d subnets", len(v.Network.VNIs), len(v.Network.Subnets))
	}
	n := network{View: v, options: o, place: state.Netns(Namespace(v.Stack, v.Network.Name))}
	out := drivers.Expansion{Offers: make(map[state.Address]drivers.Offer, len(v.Endpoints))}
	out.Objects = append(out.Objects, n.space()...)
	for i := range segments(v.Network) {
		out.Objects = append(out.Objects, n.tunnel(i))
	}
	for _, e := range v.Endpoints {
		out.Objects = append(out.Objects, n.endpoint(e)...)
		out.Offers[e.Mark.Address] = drivers.Offer{Link: e.Interface, Internal: v.Network.Internal}
	}
	out.Objects = append(out.Objects, n.routes()...)
	for _, e := range v.Away {
		out.Objects = append(out.Objects, n.peer(e)...)
	}
	if n.Encrypted {
		out.Objects = append(out.Objects, n.security()...)
		out.Rules = n.securityRules()
	}
	return out, nil
}

// Namespace is the name of the network's own namespace on each host. The suffix tells it
// from the namespaces of sandboxes.
func Namespace(stack, network string) string { return stack + "-" + network + ".overlay" }

// space is the namespace, the bridge in it, and what makes it route between subnets. The
// gateways and their MAC are the same on every host, so that an endpoint that moves need
// not forget them.
func (n network) space() []state.Object {
	mark := n.Network.Mark
	name, _ := n.place.Netns()
	six := drivers.Has(n.Network, true)
	objects := []state.Object{
		state.Namespace{Name: name, Mark: mark},
		state.Link{
			Place: n.place, Name: device, Mark: mark, Type: state.Bridge, MTU: n.mtu(),
			MAC: drivers.GatewayMAC(n.Network, n.Stack+"\x00"+string(mark.Address)), Up: true, NoIPv6: !six,
		},
	}
	for _, s := range n.Network.Subnets {
		if s.Gateway.IsValid() {
			objects = append(objects, n.address(s.Gateway, s.CIDR.Bits()))
		}
	}
	if six {
		// The kernel asks for neighbors from a link-local address, and its own is not to be
		// used for the first two seconds.
		objects = append(objects, n.address(linkLocal.Addr(), linkLocal.Bits()))
	}
	set := func(path, value, link string) {
		objects = append(objects, state.Sysctl{Place: n.place, Path: path, Value: value, Link: link, Mark: mark})
	}
	v4, v6 := families(n.Network)
	if v4 > 1 {
		// Both subnets are on one bridge, but their endpoints shall not bypass the gateway.
		set("net/ipv4/ip_forward", "1", "")
		set("net/ipv4/conf/all/send_redirects", "0", "")
		set("net/ipv4/conf/"+device+"/send_redirects", "0", device)
	}
	if v6 > 1 {
		set("net/ipv6/conf/all/forwarding", "1", "")
	}
	if six {
		set("net/ipv6/conf/"+device+"/accept_ra", "0", device)
	}
	return objects
}

// linkLocal is the router's address, the same everywhere.
var linkLocal = netip.MustParsePrefix("fe80::1/64")

func (n network) address(ip netip.Addr, bits int) state.IPAddress {
	return state.IPAddress{Place: n.place, Link: device, Prefix: netip.PrefixFrom(ip, bits), Mark: n.Network.Mark}
}

// tunnel is the VXLAN device of a segment: of the i-th IPv4 and the i-th IPv6 subnet.
func (n network) tunnel(i int) state.Link {
	vni := n.Network.VNIs[i]
	var guard state.Key
	if n.Encrypted {
		guard = state.RulesetKey(state.Host, state.TableName(n.Stack))
	}
	return state.Link{
		Place: n.place, Name: tunnelName(i), Mark: n.Network.Mark, Type: state.VXLAN, MTU: n.mtu(),
		// The kernel drops what comes from the device's own address: it may be nobody else's.
		MAC: state.MAC{0x02, 0x44, byte(vni >> 24), byte(vni >> 16), byte(vni >> 8), byte(vni)},
		Up:  true, NoIPv6: true, Master: device, Quiet: true, Guard: guard,
		Tunnel: state.Tunnel{
			Underlay: state.Host, VNI: vni, Port: n.Port, Local: n.vtep(n.Host), Checksums: !n.Offload,
		},
	}
}

func tunnelName(i int) string { return fmt.Sprintf("vxlan%d", i) }
