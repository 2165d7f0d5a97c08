package bridge

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

var (
	accept = state.Statement{Verb: state.Accept}
	drop   = state.Statement{Verb: state.Drop}
)

// elements lead the network's packets to its rules.
func (n network) elements() []drivers.Elements {
	element := func(set string, do state.Statement) drivers.Elements {
		return drivers.Elements{Set: set, Elements: []state.Element{
			{Key: n.Device, Do: do, Owner: state.RuleOwner(n.Mark.Address)},
		}}
	}
	elements := []drivers.Elements{
		element(drivers.ForwardTo, state.JumpTo(n.chainTo())),
		element(drivers.Networks, state.Statement{}),
	}
	if n.Internal {
		elements = append(elements, element(drivers.ForwardFrom, state.JumpTo(n.chainFrom())))
	}
	if n.unisolated() {
		elements = append(elements, element(drivers.Unisolated, state.Statement{}))
	}
	return elements
}

func (n network) chainTo() string   { return "to-" + state.NFTName(n.Device) }
func (n network) chainFrom() string { return "from-" + state.NFTName(n.Device) }

// unisolated reports that other networks may reach this one. An internal one is out of
// reach whatever isolation says.
func (n network) unisolated() bool { return !n.Isolation && !n.Internal }

// rules are the network's share of the table. What a port sends to another port of the
// bridge comes here only if br_netfilter is loaded and switched on; the first rule is
// about that and nothing else.
func (n network) rules() []drivers.Rules {
	rules := []drivers.Rules{{Chain: n.chainTo(), Rules: n.inbound()}}
	if n.Internal {
		return append(rules, drivers.Rules{Chain: n.chainFrom(), Rules: []state.FilterRule{
			n.rule(drop, state.ToLink(n.Device).Negated()),
		}})
	}
	if nat := n.translation(); len(nat) > 0 {
		rules = append(rules, drivers.Rules{Chain: drivers.Postrouting, Rules: nat})
	}
	return rules
}

func (n network) rule(do state.Statement, matches ...state.Match) state.FilterRule {
	return state.FilterRule{Matches: matches, Do: do, Owner: state.RuleOwner(n.Mark.Address)}
}

// inbound decides on what is forwarded into the network. Replies come back; what else may
// come in is the gateway mode's to say, for each family.
func (n network) inbound() []state.FilterRule {
	among := accept
	if !n.ICC {
		among = drop
	}
	rules := []state.FilterRule{n.rule(among, state.FromLink(n.Device))}
	if n.Internal {
		return append(rules, n.rule(drop))
	}
	rules = append(rules, n.rule(accept, state.Established()))
	if n.unisolated() {
		rules = append(rules, n.rule(accept, state.InSet(state.IifName, drivers.Unisolated)))
	}
	open4, open6 := n.open()
	switch {
	case open4 && open6:
		return append(rules, n.rule(drop, state.InSet(state.IifName, drivers.Networks)))
	case open4 || open6:
		return append(rules,
			n.rule(drop, state.FamilyIs(open4)), // the family that is not open
			n.rule(drop, state.InSet(state.IifName, drivers.Networks)))
	}
	return append(rules, n.rule(drop))
}

// open reports for each family whether connections may come in that nobody inside has asked
// for. A family that the network does not have follows the other: one rule does for both.
func (n network) open() (ipv4, ipv6 bool) {
	lets := func(mode string) bool { return mode == routed || mode == natUnprotected }
	ipv4, ipv6 = lets(n.Mode4), lets(n.Mode6)
	switch {
	case !drivers.Has(n.Network, true):
		return ipv4, ipv4
	case !drivers.Has(n.Network, false):
		return ipv6, ipv6
	}
	return ipv4, ipv6
}

// translation gives what leaves the network an address of the host, subnet by subnet.
// Between networks that let each other in, addresses stay as they are.
func (n network) translation() []state.FilterRule {
	if !n.Masquerade {
		return nil
	}
	var rules []state.FilterRule
	for _, s := range n.Subnets {
		do, ok := n.source(s.CIDR)
		if !ok {
			continue
		}
		from := state.FromAddr(s.CIDR)
		if n.unisolated() {
			rules = append(rules, n.rule(accept, from, state.InSet(state.OifName, drivers.Unisolated)))
		}
		rules = append(rules, n.rule(do, from, state.ToLink(n.Device).Negated()))
	}
	return rules
}

// source says how packets of a subnet get a source address of the host, if they do.
func (n network) source(cidr netip.Prefix) (do state.Statement, ok bool) {
	mode, snat := n.Mode4, n.SNAT4
	if cidr.Addr().Is6() {
		mode, snat = n.Mode6, n.SNAT6
	}
	if mode != nat && mode != natUnprotected {
		return state.Statement{}, false
	}
	if snat.IsValid() {
		return state.SNATTo(snat), true
	}
	return state.Statement{Verb: state.Masquerade}, true
}
