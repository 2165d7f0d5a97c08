// Package ptp carries a network on one veth pair between two sandboxes, without a bridge
// and without a gateway: a cable.
package ptp

import (
	"fmt"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Driver is the point-to-point driver.
type Driver struct{}

var _ drivers.Driver = Driver{}

// Schema has no options: MTU, addresses, names and settings are every network's.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name: "ptp",
		Doc: "A cable between two sandboxes: one veth pair, no bridge, no gateway, nothing on the host. Its two endpoints must be in two sandboxes of one host.\n\n" +
			"A subnet of two addresses (`/31`, `/127`) is enough; wider ones do as well. Without a subnet the cable is unnumbered: it has no IPv4, and with " +
			"`ipv6 = true` the link-local addresses that the kernel makes.",
		Network:  spec.Schema{Name: "ptp", Doc: "A ptp network has no options of its own."},
		Endpoint: spec.Schema{Name: "ptp", Doc: "An endpoint of a ptp network has no options of its own."},
	}
}

// Traits of a network of two, which has the subnets that it is given.
func (Driver) Traits() drivers.Traits {
	return drivers.Traits{PointToPoint: true, Links: true}
}

// Validate refuses what a cable cannot have. That it has two ends is checked while
// addresses are chosen.
func (Driver) Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics {
	diags := drivers.CheckMTU6(n)
	for i, s := range n.Subnets {
		if s.Gateway.IsValid() {
			diags = append(diags, drivers.Refuse(n.At(fmt.Sprintf("subnet[%d].gateway", i)), "Gateway on a cable", fmt.Sprintf(
				"%s joins two sandboxes and nothing else, so nobody would have its gateway address %s. Remove gateway; routes through the other end are the sandboxes' (route blocks).",
				n.Mark.Address, s.Gateway)))
		}
	}
	for _, e := range endpoints {
		if e.Priority != 0 {
			diags = append(diags, drivers.Refuse(e.At("gateway_priority"), "Gateway on a cable", fmt.Sprintf(
				"%s joins two sandboxes and nothing else, so %s is never its sandbox's way out. Remove gateway_priority; routes through the other end are the sandboxes' (route blocks).",
				n.Mark.Address, e.Mark.Address)))
		}
	}
	return diags
}

// Expand makes the pair in one step, each end in its sandbox under its final name.
func (Driver) Expand(v drivers.View) (drivers.Expansion, error) {
	switch len(v.Endpoints) {
	case 0:
		return drivers.Expansion{}, nil
	case 2:
	default:
		return drivers.Expansion{}, fmt.Errorf("a ptp network joins two sandboxes of one host, and %d of its endpoints are on this one", len(v.Endpoints))
	}
	first, second := v.Endpoints[0], v.Endpoints[1]
	if second.In.Place() == state.Host {
		first, second = second, first // made on the host, where the other end can be reached from
	}
	out := drivers.Expansion{Offers: map[state.Address]drivers.Offer{}}
	a, b := end(v.Network, first, second), end(v.Network, second, first)
	b.Second = true
	out.Objects = append(out.Objects, a, b)
	for _, e := range []drivers.Attached{first, second} {
		out.Objects = append(out.Objects, drivers.Addresses(e)...)
		out.Objects = append(out.Objects, drivers.InterfaceSysctls(e)...)
		out.Offers[e.Mark.Address] = drivers.Offer{Link: e.Interface, Internal: v.Network.Internal}
	}
	return out, nil
}

// end is one end of the pair.
func end(n state.Network, e, other drivers.Attached) state.Link {
	link := drivers.Inner(n, e, state.End{Place: other.In.Place(), Name: other.Interface})
	link.Second = false
	link.NoIPv6 = !e.HasIPv6() && !n.IPv6
	return link
}
