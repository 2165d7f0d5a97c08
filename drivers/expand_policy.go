package drivers

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// Packets are judged where all of them pass. What goes from one endpoint of a network to
// another never meets the host's rules, so each sandbox has a table of its own for what
// comes to it. What the host forwards is judged there: a sandbox does not see who it is
// from once an address was translated, and may be in other hands.

// judgeRouted is what policies say of what the host forwards for this stack.
func (x *expander) judgeRouted() {
	if len(x.policies) == 0 {
		return
	}
	var subnets, internal []netip.Prefix
	for _, n := range x.networks {
		for _, s := range n.Subnets {
			switch {
			case n.traits.Forwarded && n.Internal:
				internal = append(internal, s.CIDR)
			case n.traits.Forwarded && n.here:
				subnets = append(subnets, s.CIDR)
			}
		}
	}
	x.table.judgement = x.judgement.Routed(subnets, internal)
}

// judgeSandboxes makes the tables of this host's sandboxes. They stand before the
// sandboxes' interfaces come up.
func (x *expander) judgeSandboxes() error {
	if len(x.policies) == 0 {
		return nil
	}
	for _, s := range x.here {
		if s.onHost() || s.Shares != "" {
			continue // the host judges, or the sandbox whose namespace it is
		}
		r, ok := x.judgeSandbox(s)
		if !ok {
			continue
		}
		if err := x.add(r); err != nil {
			return err
		}
		for _, a := range s.attached {
			k := state.LinkKey(s.Place(), a.Interface)
			if l, made := x.world[k].(state.Link); made {
				l.Guard = r.Key()
				x.world[k] = l
			}
		}
	}
	return nil
}

func (x *expander) judgeSandbox(s *sandbox) (state.Ruleset, bool) {
	var j policy.Judgement
	sends := false
	for _, a := range s.attached {
		if !a.network.traits.Links {
			continue
		}
		p := policy.Place{Addresses: single(a.IPv4, a.IPv6), Sends: !a.network.traits.Forwarded}
		if a.network.traits.Forwarded {
			for _, subnet := range a.network.Subnets {
				p.Exempt = append(p.Exempt, subnet.Gateway)
			}
		}
		if own := x.judgement.At(p); !own.Empty() {
			j, sends = j.And(own), sends || p.Sends
		}
	}
	return j.Table(s.Place(), x.stack, sends)
}

// single are the addresses of prefixes by themselves.
func single(prefixes ...netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range prefixes {
		if p.IsValid() {
			out = append(out, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		}
	}
	return out
}

// judge has a base chain of the host's table ask the policies first.
func (t *table) judge(c state.Chain) []state.FilterRule {
	jump := func(f state.Selector, chain string) state.FilterRule {
		return state.FilterRule{Matches: []state.Match{state.InSet(f, Networks)}, Do: state.JumpTo(chain)}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(t.own, func(own state.Chain) bool { return own.Name == name })
	}
	switch {
	case c.Name == Forward && has(policy.Chain):
		return []state.FilterRule{jump(state.IifName, policy.Chain), jump(state.OifName, policy.Chain)}
	case c.Name == Postrouting && has(policy.Plain):
		return []state.FilterRule{jump(state.OifName, policy.Plain)}
	}
	return nil
}

// judgeSets adds the judgement's sets to those of the table, and the chains that look into
// them.
func (t *table) judgeSets() []state.Set {
	sets := t.judgement.Sets()
	if len(sets) > 0 {
		t.own = append(t.own, policy.Chains(sets)...)
		t.own = append(t.own, policy.KeepAddresses(sets)...)
	}
	return sets
}
