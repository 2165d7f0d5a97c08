package bridge

import (
	"net/netip"
	"slices"

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
func (n network) rules(p *ports) []drivers.Rules {
	rules := []drivers.Rules{{Chain: n.chainTo(), Rules: n.inbound(p)}}
	if n.Internal {
		return append(rules, drivers.Rules{Chain: n.chainFrom(), Rules: []state.FilterRule{
			n.rule(drop, state.ToLink(n.Device).Negated()),
		}})
	}
	if nat := append(n.translation(), n.portRules(p)...); len(nat) > 0 {
		rules = append(rules, drivers.Rules{Chain: drivers.Postrouting, Rules: nat})
	}
	return rules
}

func (n network) rule(do state.Statement, matches ...state.Match) state.FilterRule {
	return state.FilterRule{Matches: matches, Do: do, Owner: state.RuleOwner(n.Mark.Address)}
}

// inbound decides on what is forwarded into the network. Replies come back; what else may
// come in is the gateway mode's to say, for each family.
func (n network) inbound(p *ports) []state.FilterRule {
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
	return append(append(rules, n.trusted(p)...), n.strangers()...)
}

// trusted lets in what goes to a published port by the endpoint's own address, from the
// interfaces that may.
func (n network) trusted(p *ports) []state.FilterRule {
	published := [2]state.Match{
		state.InSet(state.AddrPortKey4, drivers.Published4), state.InSet(state.AddrPortKey6, drivers.Published6),
	}
	var rules []state.FilterRule
	for _, link := range n.Trusted {
		for f, has := range p.translated {
			if has && n.mode(f == family(true)) == nat {
				rules = append(rules, n.rule(accept, state.FromLink(link), published[f]))
			}
		}
	}
	return rules
}

// strangers decides, for each family, on connections from outside that nobody inside has
// asked for. A family that the network does not have follows the other: one rule does for
// both. In a routed network an endpoint answers pings; its ports have to be published.
func (n network) strangers() []state.FilterRule {
	mode4, mode6 := n.Mode4, n.Mode6
	switch {
	case !drivers.Has(n.Network, true):
		mode6 = mode4
	case !drivers.Has(n.Network, false):
		mode4 = mode6
	}
	var rules []state.FilterRule
	if mode4 != nat || mode6 != nat {
		rules = append(rules, n.rule(drop, state.InSet(state.IifName, drivers.Networks)))
	}
	if mode4 == natUnprotected && mode6 == natUnprotected {
		return rules
	}
	for _, f := range []struct {
		mode string
		ipv6 bool
		icmp string
	}{{mode4, false, "icmp"}, {mode6, true, "ipv6-icmp"}} {
		switch {
		case f.mode == natUnprotected:
			rules = append(rules, n.rule(accept, state.FamilyIs(f.ipv6)))
		case f.mode == routed && drivers.Has(n.Network, f.ipv6):
			rules = append(rules, n.rule(accept, state.Match{Selector: state.L4Proto, Value: f.icmp}))
		}
	}
	return append(rules, n.rule(drop))
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
		from := []state.Match{state.FromAddr(s.CIDR)}
		if n.VRF != "" { // in others there may be the same addresses
			from = append(from, state.FromLink(n.VRF))
		}
		if n.unisolated() {
			rules = append(rules, n.rule(accept, append(slices.Clone(from), state.InSet(state.OifName, drivers.Unisolated))...))
		}
		rules = append(rules, n.rule(do, append(from, state.ToLink(n.Device).Negated())...))
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
