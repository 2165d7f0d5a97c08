package drivers

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// policiesOf are the topology's policies, with the addresses that the blocks in them have.
func policiesOf(t *spec.Topology) []state.Policy {
	if len(t.Policies) == 0 {
		return nil
	}
	addresses := blockAddresses(t)
	named := func(peers []state.Peer) []state.Peer {
		peers = slices.Clone(peers)
		for i := range peers {
			if own, ok := addresses[peers[i].Block]; ok {
				peers[i].Prefixes = own
			}
		}
		return peers
	}
	var out []state.Policy
	for _, p := range t.Policies {
		record := p.Policy
		record.Rules = slices.Clone(record.Rules)
		for i := range record.Rules {
			record.Rules[i].From, record.Rules[i].To = named(record.Rules[i].From), named(record.Rules[i].To)
		}
		out = append(out, record)
	}
	return out
}

// blockAddresses are the addresses of all networks and endpoints.
func blockAddresses(t *spec.Topology) map[state.Address][]netip.Prefix {
	addresses := make(map[state.Address][]netip.Prefix, len(t.Networks)+len(t.Endpoints))
	for _, n := range t.Networks {
		for _, s := range n.Subnets {
			addresses[n.Mark.Address] = append(addresses[n.Mark.Address], s.CIDR)
		}
	}
	for _, e := range t.Endpoints {
		addresses[e.Mark.Address] = single(e.IPv4, e.IPv6)
	}
	return addresses
}
