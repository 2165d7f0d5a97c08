package drivers

import (
	"cmp"
	"slices"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// The base chains of a stack's table. Drivers add rules to them by name; a chain of any
// other name is the network's own, to jump to.
const (
	Prerouting  = "prerouting"
	Output      = "output"
	Forward     = "forward"
	Postrouting = "postrouting"
	// Raw is before everything, also before connections are looked up.
	Raw = "raw"
	// Encrypt marks what is to be encrypted: routes are looked for once more behind it.
	// Encrypted sees what leaves, the last of all; Decrypted what arrives for the host.
	Encrypt   = "encrypt"
	Encrypted = "encrypted"
	Decrypted = "decrypted"
)

// The sets of a stack's table. Drivers add elements to them by name.
const (
	// ForwardFrom and ForwardTo lead a forwarded packet to the rules of the network that
	// it comes from and goes to: one lookup, however many networks there are.
	ForwardFrom = "forward_from"
	ForwardTo   = "forward_to"
	// Networks are the interfaces of all the stack's networks.
	Networks = "networks"
	// Unisolated are the interfaces of networks that let each other in.
	Unisolated = "unisolated"
	// Loopback are the interfaces of networks that the host's loopback addresses are
	// translated to.
	Loopback = "loopback"
	// Ports4 and Ports6 lead the ports that are published on all of the host's addresses
	// to those of endpoints, PortsAt4 and PortsAt6 those of single addresses.
	Ports4   = "ports4"
	Ports6   = "ports6"
	PortsAt4 = "ports_at4"
	PortsAt6 = "ports_at6"
	// Published4 and Published6 are the ports of endpoints that may be reached by
	// translation, Opened4 and Opened6 those that may be reached as they are.
	Published4 = "published4"
	Published6 = "published6"
	Opened4    = "opened4"
	Opened6    = "opened6"
)

// baseChains are in the order in which they appear in the table. NAT takes its decisions
// for the first packet of a connection, filtering for each.
func baseChains() []state.Chain {
	base := func(name, typ, hook string, priority int, rules ...state.FilterRule) state.Chain {
		return state.Chain{Name: name, Hook: &state.Hook{Type: typ, Hook: hook, Priority: priority, Policy: state.Accept}, Rules: rules}
	}
	forward := slices.Concat(
		[]state.FilterRule{{Do: state.LookUp(state.IifName, ForwardFrom)}},
		letThrough(),
		[]state.FilterRule{{Do: state.LookUp(state.OifName, ForwardTo)}})
	return []state.Chain{
		base(Raw, "filter", "prerouting", -300, noLoopback()...),
		base(Prerouting, "nat", "prerouting", -100, translatePorts(false)...),
		base(Output, "nat", "output", -100, translatePorts(true)...),
		base(Forward, "filter", "forward", 0, forward...),
		base(Postrouting, "nat", "postrouting", 100),
		base(Encrypt, "route", "output", -150),
		base(Encrypted, "filter", "postrouting", 300),
		base(Decrypted, "filter", "input", -300),
	}
}

func baseSets() []state.Set {
	return []state.Set{
		{Name: ForwardFrom, Key: state.TypeIfName, Data: state.TypeVerdict},
		{Name: ForwardTo, Key: state.TypeIfName, Data: state.TypeVerdict},
		{Name: Loopback, Key: state.TypeIfName},
		{Name: Networks, Key: state.TypeIfName},
		{Name: Opened4, Key: state.AddrProtoPort4},
		{Name: Opened6, Key: state.AddrProtoPort6},
		{Name: Ports4, Key: state.ProtoPort, Data: state.AddrPort4},
		{Name: Ports6, Key: state.ProtoPort, Data: state.AddrPort6},
		{Name: PortsAt4, Key: state.AddrProtoPort4, Data: state.AddrPort4},
		{Name: PortsAt6, Key: state.AddrProtoPort6, Data: state.AddrPort6},
		{Name: Published4, Key: state.AddrProtoPort4},
		{Name: Published6, Key: state.AddrProtoPort6},
		{Name: Unisolated, Key: state.TypeIfName},
	}
}

// table collects the networks' shares of the stack's table.
type table struct {
	rules    map[string][]state.FilterRule
	elements map[string][]state.Element
	own      []state.Chain
	// judgement is what policies say of what the host forwards.
	judgement policy.Judgement
	// vrfs: a network of the stack is in a VRF.
	vrfs bool
}

// merge adds the network's share. Networks come in the order of their addresses.
func (t *table) merge(n state.Network, share Expansion) {
	if t.rules == nil {
		t.rules, t.elements = map[string][]state.FilterRule{}, map[string][]state.Element{}
	}
	base := baseChains()
	for _, r := range share.Rules {
		if slices.ContainsFunc(base, func(c state.Chain) bool { return c.Name == r.Chain }) {
			t.rules[r.Chain] = append(t.rules[r.Chain], r.Rules...)
			continue
		}
		t.own = append(t.own, state.Chain{Name: r.Chain, Owner: state.RuleOwner(n.Mark.Address), Rules: r.Rules})
	}
	for _, e := range share.Elements {
		t.elements[e.Set] = append(t.elements[e.Set], e.Elements...)
	}
}

// ruleset is the table, if the networks ask for any rule. Chains without rules and sets
// that no rule looks into are left out: there is nothing in it that does nothing.
func (t *table) ruleset(stack string) (state.Ruleset, bool) {
	r := state.Ruleset{Place: state.Host, Table: state.TableName(stack), Mark: state.Owner{Stack: stack}}
	judged := t.judgeSets()
	for _, c := range baseChains() {
		c.Rules = slices.DeleteFunc(c.Rules, t.inVain)
		c.Rules = slices.Concat(t.judge(c), c.Rules, t.rules[c.Name])
		if len(c.Rules) > 0 {
			r.Chains = append(r.Chains, c)
		}
	}
	if len(r.Chains) == 0 {
		return r, false
	}
	r.Chains = append(r.Chains, t.own...)
	if t.vrfs {
		throughVRFs(r.Chains)
	}
	used := setsOf(r.Chains)
	for _, s := range baseSets() {
		if used[s.Name] {
			s.Elements = t.elements[s.Name]
			slices.SortFunc(s.Elements, func(a, b state.Element) int { return cmp.Compare(a.Key, b.Key) })
			r.Sets = append(r.Sets, s)
		}
	}
	r.Sets = append(r.Sets, judged...)
	slices.SortFunc(r.Sets, func(a, b state.Set) int { return cmp.Compare(a.Name, b.Name) })
	return r, true
}

// throughVRFs has the rules for what is forwarded see by which link a packet came in to a
// VRF: by then it comes from the VRF, for iifname.
func throughVRFs(chains []state.Chain) {
	for i, c := range chains {
		if c.Hook != nil && c.Name != Forward {
			continue
		}
		var rules []state.FilterRule
		for _, rule := range c.Rules {
			rules = append(rules, rule)
			if twin, ok := fromSlave(rule); ok {
				rules = append(rules, twin)
			}
		}
		chains[i].Rules = rules
	}
}

// fromSlave is the rule with the link in the VRF in place of where packets come from, if it
// looks at that.
func fromSlave(rule state.FilterRule) (state.FilterRule, bool) {
	found := false
	if rule.Do.Verb == state.VerdictMap && rule.Do.Key == state.IifName {
		rule.Do.Key, found = state.SdifName, true
	}
	rule.Matches = slices.Clone(rule.Matches)
	for i, m := range rule.Matches {
		if m.Selector == state.IifName && !m.Not {
			rule.Matches[i].Selector, found = state.SdifName, true
		}
	}
	return rule, found
}

// inVain reports that a rule looks into a set in which there is nothing.
func (t *table) inVain(rule state.FilterRule) bool {
	return slices.ContainsFunc(setsOfRule(rule), func(name string) bool { return len(t.elements[name]) == 0 })
}

// setsOf are the names of the sets that rules look into.
func setsOf(chains []state.Chain) map[string]bool {
	used := map[string]bool{}
	for _, c := range chains {
		for _, rule := range c.Rules {
			for _, name := range setsOfRule(rule) {
				used[name] = true
			}
		}
	}
	return used
}

func setsOfRule(rule state.FilterRule) []string {
	var names []string
	if rule.Do.Map != "" {
		names = append(names, rule.Do.Map)
	}
	for _, m := range rule.Matches {
		if name, ok := m.Set(); ok {
			names = append(names, name)
		}
	}
	return names
}
