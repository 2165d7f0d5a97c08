// Package ipvlan carries a network on an interface of the host: each endpoint is an
// interface with addresses of its own, under the one MAC of the parent.
package ipvlan

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// Driver is the ipvlan driver.
type Driver struct{}

var (
	_ drivers.Driver  = Driver{}
	_ drivers.Refiner = Driver{}
	_ drivers.Sharer  = Driver{}
)

// Traits of a network with subnets, whose endpoints have their parent's MAC.
func (d Driver) Traits() drivers.Traits {
	return drivers.Traits{Pools: true, Gateway: true, Links: true, Dummy: "di-", ParentMAC: true, Refiner: d}
}

// Refine: where the parent routes for its endpoints, they need no gateway.
func (Driver) Refine(t drivers.Traits, n state.Network) drivers.Traits {
	o, err := decode(n.Options)
	if err == nil && o.routed() {
		t.Gateway, t.Direct = false, true
	}
	return t
}

// Share is what the network takes of its parent. The kernel has one mode and one flag for
// all ipvlans on an interface, the ones that were set last.
func (Driver) Share(n state.Network) drivers.Share {
	o, err := decode(n.Options)
	if err != nil {
		return drivers.Share{}
	}
	return drivers.Share{Parent: o.Parent, Type: state.IPvlan, Setting: "mode " + o.Mode + " and flag " + o.Flag}
}

// Expand makes the parent, as far as it is ours, and the endpoints on it: nothing on a host
// without endpoints.
func (Driver) Expand(v drivers.View) (drivers.Expansion, error) {
	o, err := decode(v.Network.Options)
	if err != nil || len(v.Endpoints) == 0 {
		return drivers.Expansion{}, err
	}
	out := drivers.Expansion{Offers: make(map[state.Address]drivers.Offer, len(v.Endpoints))}
	objects, lower := drivers.Parent(v.Network, o.Parent)
	for _, e := range v.Endpoints {
		link := drivers.On(v.Network, e, state.IPvlan, state.Stacked{Lower: lower, Mode: o.Mode, Flag: o.Flag})
		objects = append(objects, link)
		objects = append(objects, addresses(e)...)
		objects = append(objects, drivers.InterfaceSysctls(e)...)
		out.Offers[e.Mark.Address] = offer(v.Network, o, e)
	}
	out.Objects = objects
	return out, nil
}

// addresses are the endpoint's, which nobody else on the parent may have at the same time.
func addresses(e drivers.Attached) []state.Object {
	objects := drivers.Addresses(e)
	for i, o := range objects {
		a := o.(state.IPAddress)
		a.Sole = true
		objects[i] = a
	}
	return objects
}

// offer is the gateway on the parent's wire, or the parent itself where that routes.
func offer(n state.Network, o options, e drivers.Attached) drivers.Offer {
	out := drivers.Offer{Link: e.Interface, Internal: n.Internal, Isolated: o.Flag == state.ModePrivate}
	switch {
	case n.Internal:
	case o.routed():
		out.Direct4, out.Direct6 = e.IPv4.IsValid(), e.IPv6.IsValid()
	default:
		out.Gateway4, out.Gateway6 = drivers.Gateway(n, e.IPv4), drivers.Gateway(n, e.IPv6)
	}
	return out
}
