package drivers

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// validatePolicies checks that what policies are about can be judged, and that what they
// allow can be.
func validatePolicies(t *spec.Topology, all []Driver) hcl.Diagnostics {
	if len(t.Policies) == 0 {
		return nil
	}
	v := &policyValidator{
		drivers: map[string]Driver{}, networks: map[state.Address]*spec.Network{}, on: map[state.Address]*spec.Network{},
		publishes: map[state.Address]bool{},
		addresses: blockAddresses(t),
	}
	for _, d := range all {
		v.drivers[d.Schema().Name] = d
	}
	for _, n := range t.Networks {
		v.networks[n.Mark.Address] = n
		v.on[n.Mark.Address] = n
	}
	for _, e := range t.Endpoints {
		if n := v.networks[e.Network]; n != nil {
			v.on[e.Mark.Address] = n
			d := v.drivers[n.Driver]
			v.publishes[e.Mark.Address] = len(e.Ports) > 0 && d != nil && !d.Traits().Plugin // which publishes past our rules
		}
	}
	var diags hcl.Diagnostics
	for _, p := range t.Policies {
		for i, r := range p.Rules {
			if i >= len(p.Sources) {
				break // kept from an earlier configuration
			}
			if d := v.rule(r, p.Sources[i]); d != nil {
				diags = append(diags, d)
			}
		}
	}
	return diags
}

type policyValidator struct {
	drivers  map[string]Driver
	networks map[state.Address]*spec.Network
	// on is the network that a block is, or is in.
	on map[state.Address]*spec.Network
	// publishes: the endpoint has ports on its host, by which it is reached from outside.
	publishes map[state.Address]bool
	addresses map[state.Address][]netip.Prefix
}

// rule says what is wrong with a rule, nil if nothing is.
func (v *policyValidator) rule(r state.FlowRule, at spec.PeerRanges) *hcl.Diagnostic {
	for _, side := range []struct {
		peers []state.Peer
		at    hcl.Range
	}{{r.From, at.From}, {r.To, at.To}} {
		for _, p := range side.peers {
			if d := v.peer(p, side.at); d != nil {
				return d
			}
		}
	}
	if !v.sharesFamily(r) {
		return Refuse(&at.To, "No family in common", "Those that the rule is from have addresses of one family only, and those that it is to of the other only: no packet can be between them. Name peers with addresses of the same family.")
	}
	// Networks are few, and what holds for one endpoint of a network holds for all.
	seen := map[[2]*spec.Network]bool{}
	for _, from := range r.From {
		for _, to := range r.To {
			pair := [2]*spec.Network{v.on[from.Block], v.on[to.Block]}
			if seen[pair] && pair[0] != nil && pair[1] != nil {
				continue
			}
			seen[pair] = true
			if d := v.pair(r, from, to, at); d != nil {
				return d
			}
		}
	}
	return nil
}

// peer says why the traffic of a block cannot be judged.
func (v *policyValidator) peer(p state.Peer, at hcl.Range) *hcl.Diagnostic {
	n := v.on[p.Block]
	if n == nil || v.drivers[n.Driver] == nil {
		return nil // a range of addresses, or an error already
	}
	switch {
	case !v.traits(n).Links:
		return Refuse(&at, "Traffic that is not judged", fmt.Sprintf(
			"%s has no interfaces of its own (driver %q), so there is no place where a policy could judge its traffic. Take it out of the list.", n.Mark.Address, n.Driver))
	case len(v.addresses[p.Block]) == 0:
		return Refuse(&at, "Peer without addresses", fmt.Sprintf(
			"Policies know packets by their addresses, and %s has none that are known when planning. Give it a fixed address, or name a range of addresses instead, as in \"10.0.0.0/8\".", p.Block))
	}
	return nil
}

func (v *policyValidator) traits(n *spec.Network) Traits {
	return v.drivers[n.Driver].Traits().Of(n.Network)
}

func (v *policyValidator) prefixes(p state.Peer) []netip.Prefix {
	if p.Block != "" {
		return v.addresses[p.Block]
	}
	return p.Prefixes
}

func (v *policyValidator) sharesFamily(r state.FlowRule) bool {
	var from, to [2]bool
	note := func(peers []state.Peer, has *[2]bool) {
		for _, p := range peers {
			for _, prefix := range v.prefixes(p) {
				has[0], has[1] = has[0] || prefix.Addr().Is4(), has[1] || prefix.Addr().Is6()
			}
		}
	}
	note(r.From, &from)
	note(r.To, &to)
	return from[0] && to[0] || from[1] && to[1]
}

// pair says why a rule cannot be about flows between two peers.
func (v *policyValidator) pair(r state.FlowRule, from, to state.Peer, at spec.PeerRanges) *hcl.Diagnostic {
	a, b := v.on[from.Block], v.on[to.Block]
	switch {
	case a != nil && a == b:
		if !r.Deny && v.apart(a) {
			return Refuse(&at.To, "Allowed, but impossible", fmt.Sprintf(
				"%s keeps its endpoints apart (icc = false): the bridge itself carries nothing from one to another, so no policy can allow it. Set icc = true, and deny what shall not be.", a.Mark.Address))
		}
		return nil
	case a != nil && b != nil:
		return v.between(r, a, b, at)
	case a != nil:
		return v.outside(a, to, at.To)
	case b != nil && !v.publishes[to.Block]:
		return v.outside(b, from, at.From)
	}
	return nil
}

func (v *policyValidator) apart(n *spec.Network) bool {
	d, ok := v.drivers[n.Driver].(Apart)
	return ok && d.Apart(n.Network)
}

// between says why there is no way from one network to another.
func (v *policyValidator) between(r state.FlowRule, a, b *spec.Network, at spec.PeerRanges) *hcl.Diagnostic {
	for _, n := range []*spec.Network{a, b} {
		switch {
		case r.Deny || v.drivers[n.Driver] == nil:
		case n.Internal:
			return Refuse(&at.To, "Allowed, but impossible", fmt.Sprintf(
				"%s is internal: nothing gets into it or out of it, so nothing can be allowed between %s and %s. Take internal from %[1]s, or attach the sandbox to both networks.", n.Mark.Address, a.Mark.Address, b.Mark.Address))
		case v.traits(n).WayOut != "":
			return Refuse(&at.To, "Allowed, but impossible", fmt.Sprintf(
				"What leaves %s goes by another network of its sandbox, with another address, so there is no way between %s and %s. Attach the sandbox to both networks.", n.Mark.Address, a.Mark.Address, b.Mark.Address))
		}
	}
	return nil
}

// outside says why flows between a network and a range of addresses do not show who they
// are from.
func (v *policyValidator) outside(n *spec.Network, p state.Peer, at hcl.Range) *hcl.Diagnostic {
	if v.drivers[n.Driver] == nil || v.traits(n).WayOut == "" {
		return nil
	}
	within := func(s state.Subnet) bool {
		return slices.ContainsFunc(p.Prefixes, func(other netip.Prefix) bool { return s.CIDR.Overlaps(other) })
	}
	if slices.ContainsFunc(n.Subnets, within) {
		return nil
	}
	return Refuse(&at, "Flow that cannot be judged", fmt.Sprintf(
		"%s is outside of %s, which has no way out of its own: what its endpoints send there goes by another network of their sandboxes, with another address. Attach the sandboxes to a bridge network, and name that.", p, n.Mark.Address))
}
