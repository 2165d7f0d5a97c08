package overlay

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// endpoint is a veth pair between its sandbox and a port of the bridge.
func (n network) endpoint(e drivers.Attached) []state.Object {
	record := n.Network
	record.MTU = n.mtu()
	port := state.Link{
		Place: n.place, Name: e.HostInterface, Mark: e.Mark, Type: state.Veth,
		MTU: record.MTU, MAC: drivers.OuterMAC(e.MAC), Up: true, NoIPv6: true, Master: device,
		Peer: state.End{Place: e.In.Place(), Name: e.Interface},
	}
	inner := drivers.Inner(record, e, state.End{Place: n.place, Name: e.HostInterface})
	if inner.Place == state.Host {
		port.Second, inner.Second = true, false // made on the host, where the other end can be reached from
	}
	return slices.Concat([]state.Object{port, inner}, drivers.Addresses(e), drivers.InterfaceSysctls(e))
}

// peer says where an endpoint of another host is. The bridge's neighbor entries serve
// twice: the bridge answers for the endpoint whoever asks on this host, and routes to it.
func (n network) peer(e drivers.Away) []state.Object {
	vtep := n.vtep(e.Host)
	if !vtep.IsValid() || e.Host == n.Host {
		// The host is gone; or it is this one, where the sandbox is not: records that were
		// changed half. A tunnel to oneself leads nowhere.
		return nil
	}
	objects := []state.Object{state.FDB{
		Place: n.place, Link: tunnelName(segment(n.Network, e.Endpoint)), MAC: e.MAC, VTEP: vtep, Bridged: true, Mark: e.Mark,
	}}
	for _, ip := range append([]netip.Addr{e.IPv4.Addr(), e.IPv6.Addr()}, e.LinkLocal...) {
		if ip.IsValid() {
			objects = append(objects, state.Neighbor{Place: n.place, Link: device, IP: ip, MAC: e.MAC, Mark: e.Mark})
		}
	}
	return objects
}

// routes lead each sandbox to the subnets of the network that it has no address in, by the
// gateway of one that it has.
func (n network) routes() []state.Object {
	type way struct {
		in  state.Place
		vrf string
		to  netip.Prefix
	}
	on := map[way]bool{}
	for _, e := range n.Endpoints {
		for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
			if p.IsValid() {
				on[way{e.In.Place(), e.VRF, p.Masked()}] = true
			}
		}
	}
	var objects []state.Object
	for _, e := range n.Endpoints {
		for _, s := range n.Network.Subnets {
			from := e.IPv4
			if s.CIDR.Addr().Is6() {
				from = e.IPv6
			}
			via := drivers.Gateway(n.Network, from)
			w := way{e.In.Place(), e.VRF, s.CIDR}
			if !via.IsValid() || on[w] {
				continue
			}
			on[w] = true
			objects = append(objects, state.NewRoute(state.Route{
				Place: e.In.Place(), Dst: s.CIDR, Via: via, Dev: e.Interface, Mark: e.Mark,
			}))
		}
	}
	return objects
}
