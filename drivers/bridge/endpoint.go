package bridge

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func (n network) address(ip netip.Addr, bits int) state.IPAddress {
	return state.IPAddress{
		Place: state.Host, Link: n.Device, Prefix: netip.PrefixFrom(ip, bits), Mark: n.Mark, Loan: n.Adopt,
	}
}

// endpoint is a veth pair with its addresses and settings. IPv6 is off on the port: it
// needs no address, and a thousand ports that look for routers flood each other.
func (n network) endpoint(e drivers.Attached, o endpointOptions) []state.Object {
	port := state.Link{
		Place: state.Host, Name: e.HostInterface, Mark: e.Mark, Type: state.Veth,
		MTU: drivers.MTU(n.Network), MAC: drivers.OuterMAC(e.MAC), Up: true, NoIPv6: true,
		Master: n.Device, Hairpin: n.hairpin(e), Isolated: !n.ICC,
		Peer:  state.End{Place: e.In.Place(), Name: e.Interface},
		Guard: n.guard(),
	}
	if n.Filtering {
		port.VLANs = o.vlans()
	}
	inner := drivers.Inner(n.Network, e, state.End{Place: state.Host, Name: e.HostInterface})
	objects := []state.Object{port, inner}
	return slices.Concat(objects, drivers.Addresses(e), drivers.InterfaceSysctls(e))
}

// hairpin reports that the port sends back what came in by it: as it was asked to, or because
// the endpoint may reach itself by a port that it publishes. Where br_netfilter is on, the
// bridge itself carries such a packet, once it is translated.
func (n network) hairpin(e drivers.Attached) bool {
	return n.Hairpin || slices.ContainsFunc(e.Published, func(p drivers.Published) bool {
		return p.Host != 0 && (p.Serves(false) && e.IPv4.IsValid() || p.Serves(true) && e.IPv6.IsValid())
	})
}

// offer is the gateway, unless there is no way out through it, or it is in another VLAN.
func (n network) offer(e drivers.Attached, vlan endpointOptions) drivers.Offer {
	o := drivers.Offer{Link: e.Interface, Internal: n.Internal, Isolated: !n.ICC}
	if !n.Internal && (!n.Filtering || vlan.besideHost()) {
		o.Gateway4, o.Gateway6 = drivers.Gateway(n.Network, e.IPv4), drivers.Gateway(n.Network, e.IPv6)
	}
	return o
}
