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
	if err != nil {
		return drivers.Expansion{}, err
	}
	return drivers.OnParent(v, o.Parent, state.Macvlan, state.Stacked{Mode: o.Mode}, func(e drivers.Attached) drivers.Offer {
		out := drivers.OutsideGateway(v.Network, e)
		out.Isolated = o.Mode == state.ModePrivate
		return out
	}), nil
}
