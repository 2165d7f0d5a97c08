package planner

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// subnetting chooses the subnets of all networks.
type subnetting struct {
	stack  string
	held   Held
	byName map[state.Address]*spec.Network
	traits map[string]drivers.Traits
	// written are the subnets that the configuration gives, as far as they were entered.
	written []takenPrefix
	// networks are the subnets given so far, host what the host itself can reach.
	networks, host *prefixSet
	// underlay is what tunnels go through, as far as it is known here: nothing that they
	// carry may be in it.
	underlay      *prefixSet
	local, global *poolCursor
	pools6        *poolCursor
	// pools are what the cursors began with, for messages.
	pools map[*poolCursor]string
	// configured are the pools that the configuration has.
	configured []spec.Pool
}

// allocateSubnets checks the subnets that are written, keeps those that are held, and
// takes the rest from the pools, in this order: what a user wrote never makes way.
func (a *Allocator) allocateSubnets(t *spec.Topology, networks []*spec.Network, held Held) hcl.Diagnostics {
	s := &subnetting{
		stack: t.Stack, held: held, byName: map[state.Address]*spec.Network{}, traits: a.traits,
		networks: &prefixSet{}, host: held.Facts.prefixes(), underlay: held.Facts.underlay(t.Hosts),
		local:  newCursor(t.Pools, false, localPools()),
		global: newCursor(t.Pools, false, globalPools()),
		pools6: newCursor(t.Pools, true, nil),
		pools:  map[*poolCursor]string{}, configured: t.Pools,
	}
	for _, c := range []*poolCursor{s.local, s.global, s.pools6} {
		s.pools[c] = describePools(c.pools)
	}
	var diags hcl.Diagnostics
	for _, n := range networks {
		s.byName[n.Mark.Address] = n
		diags = append(diags, s.explicit(n, a.traits[n.Driver])...)
	}
	for _, n := range networks {
		diags = append(diags, s.keep(n, a.traits[n.Driver])...)
	}
	for _, n := range networks {
		diags = append(diags, s.choose(n, a.traits[n.Driver])...)
	}
	return diags
}

// explicit enters the subnets that the configuration gives.
func (s *subnetting) explicit(n *spec.Network, traits drivers.Traits) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for i, subnet := range n.Subnets {
		at := n.At("subnet[" + strconv.Itoa(i) + "].cidr")
		if _, ok := s.networks.overlapping(subnet.CIDR); ok {
			if other, ok := s.together(n, subnet.CIDR); ok {
				if other.by == n.Mark.Address { // those of two networks are drivers.Validate's to refuse
					diags = append(diags, failure(at, "Overlapping subnets", fmt.Sprintf(
						"The subnets %s and %s of %s overlap. Give each its own range.", subnet.CIDR, other.prefix, n.Mark.Address)))
				}
				continue
			}
		}
		s.written = append(s.written, takenPrefix{subnet.CIDR, n.Mark.Address, i})
		diags = append(diags, s.enter(n, traits, i, at)...)
	}
	return diags
}

// together finds a subnet that overlaps this one and is of the same network, or of one that
// the host routes by the same table. Others may be told apart by VRFs, which is seen when
// endpoints are known (drivers.Validate).
func (s *subnetting) together(n *spec.Network, cidr netip.Prefix) (takenPrefix, bool) {
	for _, t := range s.written {
		other := s.byName[t.by]
		if t.prefix.Overlaps(cidr) && (other == n || s.onHost(n) && s.onHost(other) && !apart(n, other)) {
			return t, true
		}
	}
	return takenPrefix{}, false
}

// onHost reports that the host has a route to the network.
func (s *subnetting) onHost(n *spec.Network) bool {
	traits := s.traits[n.Driver]
	return traits.Device && !traits.Global
}

// apart reports that two networks are in different VRFs of the host.
func apart(n, other *spec.Network) bool {
	a, b := option(n.Options, "vrf"), option(other.Options, "vrf")
	return a != "" && b != "" && a != b
}

// enter takes subnet i of the network, refuses it when the host has an address in it
// already, and warns when the host reaches something else there. Only a device on the host gives the host a route of its own to compete with; to
// what is on a device that is adopted the host has a route already.
func (s *subnetting) enter(n *spec.Network, traits drivers.Traits, i int, at *hcl.Range) hcl.Diagnostics {
	cidr := n.Subnets[i].CIDR
	s.networks.add(takenPrefix{cidr, n.Mark.Address, i})
	if !traits.Device || traits.Global || adopts(n) {
		return nil
	}
	if ip, link, ok := s.held.Facts.within(cidr); ok && hostTakesPart(n, cidr) {
		return hcl.Diagnostics{failure(at, "Address in the way", fmt.Sprintf(
			"The host has the address %s on %s already, which is in subnet %s of %s: with the network up, the host could not tell which of the two to send packets to. "+
				"Give the network another cidr (without one, a subnet that is free on this host is chosen), or take the address off %s.",
			ip, link, cidr, n.Mark.Address, link))}
	}
	route, ok := s.host.overlapping(cidr)
	if !ok || option(n.Options, "vrf") != "" {
		return nil // or it is routed by another table
	}
	return hcl.Diagnostics{{
		Severity: hcl.DiagWarning, Subject: at, Summary: "Subnet overlaps what the host reaches otherwise",
		Detail: fmt.Sprintf("The host has a route to (or a name server at) %s, which subnet %s of %s overlaps: while the network is up, the host may reach one of them only. "+
			"Another cidr avoids this; without one, a subnet that is free on this host is chosen.", route.prefix, cidr, n.Mark.Address),
	}}
}

// missing reports which families of the network still want an automatic subnet.
func missing(n *spec.Network, traits drivers.Traits) (v4, v6 bool) {
	if !traits.Pools || !ownAddresses(n) {
		return false, false
	}
	v4, v6 = !n.NoIPv4, n.IPv6
	for _, s := range n.Subnets {
		if s.CIDR.Addr().Is4() {
			v4 = false
		} else {
			v6 = false
		}
	}
	return v4, v6
}

// keep gives the network the subnets that it holds, for the families that want one.
func (s *subnetting) keep(n *spec.Network, traits drivers.Traits) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, held := range s.held.network(n).Subnets {
		v4, v6 := missing(n, traits)
		is4 := held.Addr().Is4()
		if _, taken := s.networks.overlapping(held); taken || (is4 && !v4) || (!is4 && !v6) {
			continue
		}
		n.Subnets = append(n.Subnets, state.Subnet{CIDR: held})
		diags = append(diags, s.enter(n, traits, len(n.Subnets)-1, n.At("subnet"))...)
	}
	return diags
}

// choose gives the network new subnets, for the families that still want one.
func (s *subnetting) choose(n *spec.Network, traits drivers.Traits) hcl.Diagnostics {
	var diags hcl.Diagnostics
	v4, v6 := missing(n, traits)
	if v4 {
		cursor := s.local
		switch {
		case traits.Global:
			cursor = s.global
		case n.Implied:
			cursor = s.apart(newCursor(s.configured, false, localPools()))
		}
		diags = append(diags, s.fromPool(n, traits, cursor)...)
	}
	if v6 && s.pools[s.pools6] != "" {
		diags = append(diags, s.fromPool(n, traits, s.pools6)...)
	} else if v6 {
		diags = append(diags, s.fromHash(n, traits)...)
	}
	return diags
}

// apart begins at another place of the pools for each stack. A gateway bridge is on many
// hosts, and this one does not know what the gateway bridges of other stacks have there. But
// stacks have different VNIs.
func (s *subnetting) apart(cursor *poolCursor) *poolCursor {
	const places = 256
	s.pools[cursor] = describePools(cursor.pools)
	rest := *cursor
	for range (s.ownVNI() - firstVNI) % places {
		if _, ok := rest.next(); !ok {
			rest = *cursor
		}
	}
	if len(rest.pools) == 0 || !rest.at.IsValid() {
		return cursor
	}
	rest.after = cursor
	s.pools[&rest] = s.pools[cursor]
	return &rest
}

// ownVNI is the lowest VNI that the stack has, or will have if it has none.
func (s *subnetting) ownVNI() uint32 {
	lowest := uint32(lastVNI)
	for _, n := range s.held.Networks {
		for _, vni := range n.VNIs {
			lowest = min(lowest, vni)
		}
	}
	if lowest < lastVNI {
		return max(lowest, firstVNI)
	}
	for vni := uint32(firstVNI); ; vni++ {
		if !s.held.Facts.VNIs[vni] {
			return vni
		}
	}
}

// fromPool takes the next free subnet.
func (s *subnetting) fromPool(n *spec.Network, traits drivers.Traits, cursor *poolCursor) hcl.Diagnostics {
	for {
		candidate, ok := cursor.next()
		if !ok {
			return s.exhausted(n, "Every subnet of the pools ("+s.pools[cursor]+")")
		}
		if s.free(candidate, traits) {
			s.add(n, candidate)
			return nil
		}
	}
}

// uniqueLocalTries bounds the search for a free unique local prefix. Two hashes collide
// once in 2^56, so all tries fail only where something has taken fd00::/8 as a whole.
const uniqueLocalTries = 16

func (s *subnetting) fromHash(n *spec.Network, traits drivers.Traits) hcl.Diagnostics {
	for attempt := range uniqueLocalTries {
		if p := uniqueLocal(s.stack, n.Mark.Address, attempt); s.free(p, traits) {
			s.add(n, p)
			return nil
		}
	}
	return s.exhausted(n, "Every unique local prefix (fd00::/8)")
}

func (s *subnetting) exhausted(n *spec.Network, what string) hcl.Diagnostics {
	return hcl.Diagnostics{failure(n.At("subnet"), "No free subnet", fmt.Sprintf(
		"%s is taken by another network, or overlaps a route or name server of this host, so there is none for %s. "+
			"Write a subnet with its cidr into the network, or give cnmctl other pools.", what, n.Mark.Address))}
}

// free reports that nobody has the prefix. Like libnetwork, a network that spans hosts does
// not look at the routes of the one host that happens to plan it.
func (s *subnetting) free(p netip.Prefix, traits drivers.Traits) bool {
	if _, taken := s.networks.overlapping(p); taken {
		return false
	}
	if _, taken := s.underlay.overlapping(p); taken {
		return false
	}
	_, taken := s.host.overlapping(p)
	return traits.Global || !taken
}

func (s *subnetting) add(n *spec.Network, p netip.Prefix) {
	n.Subnets = append(n.Subnets, state.Subnet{CIDR: p})
	s.networks.add(takenPrefix{p, n.Mark.Address, len(n.Subnets) - 1})
}

// adopts reports that the network's device is somebody else's.
func adopts(n *spec.Network) bool { return string(n.Options["adopt"]) == "true" }

// hostTakesPart reports that the host will have an address, and so a route, in the subnet.
func hostTakesPart(n *spec.Network, cidr netip.Prefix) bool {
	inhibited := cidr.Addr().Is4() && string(n.Options["inhibit_ipv4"]) == "true"
	return !inhibited && !isolatedFrom(n, cidr)
}
