package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
)

// Verdict is what becomes of a flow.
type Verdict string

// The verdicts. What no policy speaks of is as its networks say.
const (
	Allow   Verdict = "allow"
	Deny    Verdict = "deny"
	Default Verdict = "default"
)

// Change is a flow that gets another verdict.
type Change struct {
	// From is "" for all others: those that no rule names.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	// Service is "tcp/5432", "icmp" or "any".
	Service string `json:"service"`
	// Family is "ipv4" or "ipv6" where the verdicts of both differ.
	Family string  `json:"family,omitempty"`
	Old    Verdict `json:"before"`
	New    Verdict `json:"after"`
}

// String is the change in a line: endpoint.app -> endpoint.db tcp/5432: deny -> allow.
func (c Change) String() string {
	family := map[string]string{"ipv4": " over IPv4", "ipv6": " over IPv6"}[c.Family]
	return cmp.Or(c.From, "all others") + " -> " + c.To + " " + c.Service + family + ": " + string(c.Old) + " -> " + string(c.New)
}

// mostFlows is how many flows of a rule are looked at one by one: from each to each.
const mostFlows = 4096

// flow is one that a rule names: from somebody to somebody by one service.
type flow struct {
	from, to state.Peer
	protocol string
	ports    state.PortRange // zero: all
}

func (f flow) service() string {
	r := state.FlowRule{Protocol: f.protocol}
	if f.ports != (state.PortRange{}) {
		r.Ports = []state.PortRange{f.ports}
	}
	return r.Service()
}

// Changes lists the flows named by any rule whose verdict is another with the new policies
// than with the old ones, by target, then by who begins them.
func Changes(old, new []state.Policy) []Change {
	before, after := judgeOf(old), judgeOf(new)
	var changes []Change
	seen := map[string]bool{}
	note := func(f flow) {
		id := f.from.String() + "\x00" + f.to.String() + "\x00" + f.service()
		if !seen[id] {
			seen[id] = true
			changes = append(changes, compareFlow(f, before, after)...)
		}
	}
	named := rulesByText(old)
	maps.Copy(named, rulesByText(new))
	texts := make([]string, 0, len(named))
	for text := range named {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for _, text := range texts {
		eachFlow(named[text], note)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		switch {
		case a.To != b.To || a.From == b.From:
			return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Family, b.Family))
		case a.From == "":
			return 1
		case b.From == "":
			return -1
		}
		return cmp.Compare(a.From, b.From)
	})
	return changes
}

// rulesByText are the rules of policies by what they say, but for those that are not to be
// shown.
func rulesByText(policies []state.Policy) map[string]state.FlowRule {
	rules := map[string]state.FlowRule{}
	for _, p := range policies {
		for _, r := range p.Rules {
			if state.Hides(p.Hidden, r.Word()) {
				continue
			}
			rules[r.Word()+" "+r.String()] = r
		}
	}
	return rules
}

// eachFlow takes a rule apart. Whom else an allow keeps out is a flow from all others.
func eachFlow(r state.FlowRule, do func(flow)) {
	ports := r.Ports
	if len(ports) == 0 {
		ports = []state.PortRange{{}}
	}
	from, to := r.From, r.To
	if len(from)*len(to)*len(ports) > mostFlows {
		from, to = asOne(from), asOne(to)
	}
	for _, t := range to {
		for _, f := range from {
			for _, p := range ports {
				do(flow{f, t, r.Protocol, p})
			}
		}
		if !r.Deny {
			do(flow{to: t})
		}
	}
}

// asOne is one peer in the place of many.
func asOne(peers []state.Peer) []state.Peer {
	if len(peers) < 2 {
		return peers
	}
	one := state.Peer{Block: state.Address(peers[0].String() + " and " + strconv.Itoa(len(peers)-1) + " more")}
	for _, p := range peers {
		one.Prefixes = append(one.Prefixes, p.Prefixes...)
	}
	return []state.Peer{one}
}

// compareFlow is how the verdict on a flow changes: for both families at once, if it does so
// in the same way.
func compareFlow(f flow, before, after judge) []Change {
	var out []Change
	for _, ipv6 := range []bool{false, true} {
		from, to := ofFamily(f.from.Prefixes, ipv6), ofFamily(f.to.Prefixes, ipv6)
		everybody := f.from.String() == ""
		if len(to) == 0 || len(from) == 0 && !everybody {
			continue
		}
		c := Change{From: f.from.String(), To: f.to.String(), Service: f.service(), Family: "ipv4"}
		if ipv6 {
			c.Family = "ipv6"
		}
		c.Old, c.New = before.verdict(from, to, f), after.verdict(from, to, f)
		out = append(out, c)
	}
	if len(out) == 1 || len(out) == 2 && out[0].Old == out[1].Old && out[0].New == out[1].New {
		out = out[:1]
		out[0].Family = ""
	}
	return slices.DeleteFunc(out, func(c Change) bool { return c.Old == c.New })
}

func ofFamily(prefixes []netip.Prefix, ipv6 bool) spans {
	return spansOf(slices.DeleteFunc(slices.Clone(prefixes), func(p netip.Prefix) bool { return p.Addr().Is6() != ipv6 })...)
}

// judge tells the verdicts of policies on flows that rules name.
type judge struct{ rules []judged }

type judged struct {
	state.FlowRule
	from, to spans
}

func judgeOf(policies []state.Policy) judge {
	var j judge
	for _, p := range policies {
		for _, r := range p.Rules {
			j.rules = append(j.rules, judged{r, peerSpans(r.From), peerSpans(r.To)})
		}
	}
	return j
}

// verdict is what becomes of all of a flow. From nobody in particular, it is about those
// whom no rule names.
func (j judge) verdict(from, to spans, f flow) Verdict {
	verdict := Default
	for _, r := range j.rules {
		if !names(r.To, r.to, f.to, to) {
			continue
		}
		names := len(from) > 0 && r.serves(f) && names(r.From, r.from, f.from, from)
		switch {
		case r.Deny && names:
			return Deny
		case r.Deny:
		case names:
			verdict = Allow
		case verdict == Default:
			verdict = Deny // closed, unless another rule allows it
		}
	}
	return verdict
}

// names reports that somebody is among peers, by name or by address. A name may stand for
// another address than before.
func names(peers []state.Peer, all spans, who state.Peer, addresses spans) bool {
	return all.contains(addresses) || who.Block != "" && slices.ContainsFunc(peers, func(p state.Peer) bool { return p.Block == who.Block })
}

// serves reports that the rule is about all of the flow's service.
func (r judged) serves(f flow) bool {
	switch {
	case r.Protocol == "":
		return true
	case r.Protocol != f.protocol:
		return false
	case len(r.Ports) == 0:
		return true
	}
	return slices.ContainsFunc(r.Ports, func(p state.PortRange) bool {
		return f.ports != (state.PortRange{}) && p.First <= f.ports.First && f.ports.Last <= p.Last
	})
}
