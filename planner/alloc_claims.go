package planner

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// Claims are the addresses that an allocated topology holds: each network its gateways,
// each endpoint its own, attached or not.
func Claims(t *spec.Topology) []state.Claim {
	claims := make([]state.Claim, 0, len(t.Networks)+len(t.Endpoints))
	for _, n := range t.Networks {
		for _, s := range n.Subnets {
			if s.Gateway.IsValid() {
				claims = append(claims, state.Claim{Network: n.Mark.Address, IP: s.Gateway, Mark: n.Mark})
			}
		}
	}
	for _, e := range t.Endpoints {
		for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
			if p.IsValid() {
				claims = append(claims, state.Claim{Network: e.Network, IP: p.Addr(), Mark: e.Mark})
			}
		}
	}
	return claims
}
