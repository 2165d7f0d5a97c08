package planner

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// allocateGateways checks the gateways that are written and chooses those that are not,
// where the driver has gateways. Networks without a way out get theirs too: it is how the
// host itself takes part; drivers decide on routes.
func (a *Allocator) allocateGateways(networks []*spec.Network, held Held) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, n := range networks {
		for i := range n.Subnets {
			s, at := &n.Subnets[i], "subnet["+strconv.Itoa(i)+"]"
			switch {
			case s.Gateway.IsValid():
				diags = append(diags, checkGateway(n, *s, at+".gateway")...)
			case a.traits[n.Driver].Gateway:
				diags = append(diags, chooseGateway(n, s, held.Networks[n.Mark.Address].Gateways, at+".range")...)
			}
		}
	}
	return diags
}

func checkGateway(n *spec.Network, s state.Subnet, at string) hcl.Diagnostics {
	gateway := s.Gateway
	if !s.CIDR.Contains(gateway) {
		return hcl.Diagnostics{failure(n.At(at), "Gateway outside of its subnet", fmt.Sprintf(
			"Gateway %s of %s is not in %s. Choose an address of the subnet, or leave the gateway out to have the first free one.",
			gateway, n.Mark.Address, s.CIDR))}
	}
	if network, broadcast := unusable(s.CIDR); gateway == network || gateway == broadcast {
		s.Gateway = netip.Addr{}
		return hcl.Diagnostics{failure(n.At(at), "Unusable gateway", fmt.Sprintf(
			"Gateway %s of %s is %s of %s. Choose another address of the subnet.",
			gateway, n.Mark.Address, newPlot(s).refuses(gateway), s.CIDR))}
	}
	return nil
}

func chooseGateway(n *spec.Network, s *state.Subnet, held []netip.Addr, at string) hcl.Diagnostics {
	p := newPlot(*s)
	for _, ip := range held {
		if p.free(ip) {
			s.Gateway = ip
			return nil
		}
	}
	lowest, ok := p.lowest()
	if !ok {
		return hcl.Diagnostics{failure(n.At(at), "No address for the gateway", fmt.Sprintf(
			"%s has no address left for its gateway in %s. Widen the subnet or its range, free a reserved address, or write a gateway.",
			n.Mark.Address, s))}
	}
	s.Gateway = lowest
	return nil
}
