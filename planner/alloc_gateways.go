package planner

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// allocateGateways chooses the gateways that are not written, where the driver has
// gateways. Networks without a way out get theirs too: it is how the host itself takes
// part; drivers decide on routes.
func (a *Allocator) allocateGateways(networks []*spec.Network, held Held) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, n := range networks {
		for i := range n.Subnets {
			if s := &n.Subnets[i]; !s.Gateway.IsValid() && a.traits[n.Driver].Of(n.Network).Gateway && ownAddresses(n) && !isolatedFrom(n, s.CIDR) {
				at := n.At("subnet[" + strconv.Itoa(i) + "].range")
				around := *s
				if shares(a.traits[n.Driver], n) {
					around = held.Facts.withoutOwn(around)
				}
				diags = append(diags, chooseGateway(n, s, newPlot(around), held.network(n).Gateways, at)...)
			}
		}
	}
	return diags
}

// isolatedFrom reports that the host has no part in a subnet: it cannot be its gateway.
func isolatedFrom(n *spec.Network, cidr netip.Prefix) bool {
	mode := "gateway_mode_ipv4"
	if cidr.Addr().Is6() {
		mode = "gateway_mode_ipv6"
	}
	return option(n.Options, mode) == "isolated"
}

func chooseGateway(n *spec.Network, s *state.Subnet, p *plot, held []netip.Addr, at *hcl.Range) hcl.Diagnostics {
	for _, ip := range held {
		if p.free(ip) {
			s.Gateway = ip
			return nil
		}
	}
	lowest, ok := p.lowest()
	if !ok {
		return hcl.Diagnostics{failure(at, "No address for the gateway", fmt.Sprintf(
			"%s has no address left for its gateway in %s. Widen the subnet or its range, free a reserved address, or write a gateway.",
			n.Mark.Address, s))}
	}
	s.Gateway = lowest
	return nil
}
