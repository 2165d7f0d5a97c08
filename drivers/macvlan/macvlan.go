// Package macvlan carries a network on an interface of the host: each endpoint is an
// interface with a MAC of its own on the same wire, beside the host rather than behind it.
package macvlan

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// Driver is the macvlan driver.
type Driver struct{}

var (
	_ drivers.Driver  = Driver{}
	_ drivers.Refiner = Driver{}
	_ drivers.Sharer  = Driver{}
)

// Traits of a network with subnets and a gateway, which is somebody else's.
func (d Driver) Traits() drivers.Traits {
	return drivers.Traits{Pools: true, Gateway: true, Links: true, Dummy: "dm-", Refiner: d}
}

// Refine: in passthru mode there is one MAC for the endpoint and its parent. To give the
// endpoint another would give it to the parent, which is not ours to change.
func (Driver) Refine(t drivers.Traits, n state.Network) drivers.Traits {
	o, err := decode(n.Options)
	t.ParentMAC = err == nil && o.Mode == state.ModePassthru
	return t
}

// Share is what the network takes of its parent.
func (Driver) Share(n state.Network) drivers.Share {
	o, err := decode(n.Options)
	if err != nil {
		return drivers.Share{}
	}
	return drivers.Share{Parent: o.Parent, Type: state.Macvlan, Sole: o.Mode == state.ModePassthru}
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
		link := drivers.On(v.Network, e, state.Macvlan, state.Stacked{Lower: lower, Mode: o.Mode})
		objects = append(objects, link)
		objects = append(objects, drivers.Addresses(e)...)
		objects = append(objects, drivers.InterfaceSysctls(e)...)
		out.Offers[e.Mark.Address] = offer(v.Network, o, e)
	}
	out.Objects = objects
	return out, nil
}

// offer is the gateway on the parent's wire, unless nobody is to get out.
func offer(n state.Network, o options, e drivers.Attached) drivers.Offer {
	out := drivers.Offer{Link: e.Interface, Internal: n.Internal, Isolated: o.Mode == state.ModePrivate}
	if !n.Internal {
		out.Gateway4, out.Gateway6 = drivers.Gateway(n, e.IPv4), drivers.Gateway(n, e.IPv6)
	}
	return out
}
