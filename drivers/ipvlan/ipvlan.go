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

// Refine: where the parent routes for its endpoints, they need no gateway. In the mode l3s the
// kernel delivers packets behind the parent's rules, past the ingress of the interface
// (ipvlan_nf_input).
func (Driver) Refine(t drivers.Traits, n state.Network) drivers.Traits {
	o, err := decode(n.Options)
	if err == nil && o.routed() {
		t.Gateway, t.Direct = false, true
	}
	t.Unseen = err == nil && o.Mode == state.ModeL3S
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
	if err != nil {
		return drivers.Expansion{}, err
	}
	return drivers.OnParent(v, o.Parent, state.IPvlan, state.Stacked{Mode: o.Mode, Flag: o.Flag}, func(e drivers.Attached) drivers.Offer {
		out := drivers.OutsideGateway(v.Network, e)
		if o.routed() && !v.Network.Internal {
			out = drivers.Offer{Direct4: e.IPv4.IsValid(), Direct6: e.IPv6.IsValid()} // the parent routes itself
		}
		out.Isolated = o.Flag == state.ModePrivate
		return out
	}), nil
}
