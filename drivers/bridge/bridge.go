// Package bridge carries a network on a Linux bridge of the host: each endpoint is a veth
// pair between its sandbox and a port of the bridge, and the bridge's address is the
// sandboxes' gateway.
package bridge

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// Driver is the bridge driver.
type Driver struct{}

var _ drivers.Driver = Driver{}

// Traits of a network with subnets, a gateway, a device, and interfaces at both ends.
func (Driver) Traits() drivers.Traits {
	return drivers.Traits{
		Pools: true, Gateway: true, Device: true, Links: true, HostLinks: true, Ports: true, Forwarded: true,
		Refiner: refiner{},
	}
}

// Apart reports that the bridge keeps the network's endpoints from each other.
func (Driver) Apart(n state.Network) bool {
	o, err := decode(n.Options)
	return err == nil && !o.ICC
}

// network is a network with its options decoded.
type network struct {
	state.Network
	options
	stack string
}

// Expand makes the bridge with its addresses, a veth pair for each endpoint, and the
// network's share of the ruleset.
func (Driver) Expand(v drivers.View) (drivers.Expansion, error) {
	o, err := decode(v.Network.Options)
	if err != nil {
		return drivers.Expansion{}, err
	}
	n := network{Network: v.Network, options: o, stack: v.Stack}
	published := n.publish(v.Endpoints)
	out := drivers.Expansion{
		Objects:  append(n.device(), n.loopbackRoute(published)...),
		Rules:    n.rules(published),
		Elements: append(n.elements(), n.portElements(published)...),
		Offers:   make(map[state.Address]drivers.Offer, len(v.Endpoints)),
	}
	for _, e := range v.Endpoints {
		o, err := decodeEndpoint(e.Options)
		if err != nil {
			return drivers.Expansion{}, err
		}
		out.Objects = append(out.Objects, n.endpoint(e, o)...)
		out.Offers[e.Mark.Address] = n.offer(e, o)
	}
	if !n.Internal {
		out.Objects = append(out.Objects, drivers.Forwarding(v.Stack, v.Network)...)
	}
	return out, nil
}

// guard is the ruleset that must stand before anything of the network comes up.
func (n network) guard() state.Key {
	return state.RulesetKey(state.Host, state.TableName(n.stack))
}

// hasIPv6 reports that the bridge itself takes part in IPv6.
func (n network) hasIPv6() bool { return drivers.Has(n.Network, true) && n.Mode6 != isolated }

// device is the bridge and what is on it. An adopted one is somebody else's: it gets our
// addresses, marked, and is otherwise left alone.
func (n network) device() []state.Object {
	key := state.LinkKey(state.Host, n.Device)
	if n.Adopt {
		return append([]state.Object{state.Adopted{K: key, Type: state.Bridge, Asker: n.Mark}}, n.addresses()...)
	}
	objects := append(n.vrf(), state.Link{
		Place: state.Host, Name: n.Device, Mark: n.Mark, Type: state.Bridge,
		MTU: drivers.MTU(n.Network), MAC: n.mac(), Up: true, NoIPv6: !n.hasIPv6(), Guard: n.guard(),
		Filtering: n.Filtering, VRF: n.VRF,
	})
	objects = append(objects, n.addresses()...)
	if n.hasIPv6() {
		// The bridge is a router's interface: an endpoint must not be able to hand it routes.
		objects = append(objects, state.Sysctl{
			Place: state.Host, Path: "net/ipv6/conf/" + n.Device + "/accept_ra", Value: "0", Link: n.Device, Mark: n.Mark,
		})
	}
	return objects
}

// mac is the bridge's own: given, or made of the gateway.
func (n network) mac() state.MAC {
	if !n.MAC.IsZero() {
		return n.MAC
	}
	return drivers.GatewayMAC(n.Network, n.stack+"\x00"+n.Device)
}

// linkLocal is the router's address of every bridge with IPv6, the same everywhere so
// that it survives a change of the bridge's MAC.
var linkLocal = mustPrefix("fe80::1/64")

// addresses are the gateways, which are the host's own addresses in the network.
func (n network) addresses() []state.Object {
	var objects []state.Object
	for _, s := range n.Subnets {
		if !s.Gateway.IsValid() || !n.hasAddress(s.Gateway.Is6()) {
			continue
		}
		objects = append(objects, n.address(s.Gateway, s.CIDR.Bits()))
	}
	if n.hasIPv6() && !n.Adopt {
		objects = append(objects, n.address(linkLocal.Addr(), linkLocal.Bits()))
	}
	return objects
}

// hasAddress reports that the host has an address of the family in the network.
func (n network) hasAddress(ipv6 bool) bool {
	if ipv6 {
		return n.Mode6 != isolated
	}
	return n.Mode4 != isolated && !n.InhibitIPv4
}
