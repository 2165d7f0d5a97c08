package policy

import (
	"cmp"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Chain is where packets are judged, Answers where those are that answer others. Plain is
// where those that are let in keep their addresses.
const (
	Chain   = "policies"
	Answers = "policy_answers"
	Plain   = "policy_addresses"
)

// firstEphemeral is the first port that clients have unless they ask for another
// (net.ipv4.ip_local_port_range).
const firstEphemeral = 32768

// verdict is one of the sets that packets are looked up in, in the order in which they are.
type verdict struct {
	name string
	list func(Judgement) []flows
	do   state.Verb
	// flow: protocol and port are looked at. Without, a packet is found even if it has none.
	flow bool
}

var verdicts = []verdict{
	{"policy_exempt", func(j Judgement) []flows { return j.exempt }, state.Return, false},
	{"policy_shut", func(j Judgement) []flows { return j.shut }, state.Drop, false},
	{"policy_denied", func(j Judgement) []flows { return j.denied }, state.Drop, true},
	{"policy_allowed", func(j Judgement) []flows { return j.allowed }, state.Accept, true},
	{"policy_closed", func(j Judgement) []flows { return j.closed }, state.Drop, false},
	{"policy_closed_ports", func(j Judgement) []flows { return j.closedPorts }, state.Drop, true},
}

// family is what differs between IPv4 and IPv6.
type family struct {
	suffix                     string
	ipv6                       bool
	pairs, flows               state.Types
	pair, flow                 state.Selector
	answeredPair, answeredFlow state.Selector
}

var families = []family{
	{"4", false, state.Pair4, state.Flow4, state.PairKey4, state.FlowKey4, state.AnsweredPairKey4, state.AnsweredFlowKey4},
	{"6", true, state.Pair6, state.Flow6, state.PairKey6, state.FlowKey6, state.AnsweredPairKey6, state.AnsweredFlowKey6},
}

// Sets are the sets of the judgement that have anything in them, in order of name.
func (j Judgement) Sets() []state.Set {
	var sets []state.Set
	for _, v := range verdicts {
		for _, f := range families {
			s := state.Set{Name: v.name + f.suffix, Key: f.pairs, Interval: true}
			key := box.pair
			if v.flow {
				s.Key, key = f.flows, box.flow
			}
			if s.Elements = elements(boxes(v.list(j), f.ipv6), key); len(s.Elements) > 0 {
				sets = append(sets, s)
			}
		}
	}
	slices.SortFunc(sets, func(a, b state.Set) int { return cmp.Compare(a.Name, b.Name) })
	return sets
}

// Chains are what looks packets up in the sets. An answer is judged as what it answers:
// a connection ends when the policy that allowed it goes. What a connection brings with it
// (errors, connections that it opens) is not judged by itself.
func Chains(sets []state.Set) []state.Chain {
	rules := []state.FilterRule{
		{Matches: []state.Match{state.Unjudged()}, Do: state.Statement{Verb: state.Return}},
		{Matches: []state.Match{state.Answers()}, Do: state.Statement{Verb: state.Goto, Chain: Answers}},
	}
	return []state.Chain{{Name: Chain, Rules: append(rules, lookups(sets, false)...)}, {Name: Answers, Rules: lookups(sets, true)}}
}

// lookups are a rule for each set.
func lookups(sets []state.Set, answers bool) []state.FilterRule {
	var rules []state.FilterRule
	for _, v := range verdicts {
		for _, f := range families {
			if !has(sets, v.name+f.suffix) {
				continue
			}
			key := f.pair
			switch {
			case answers && v.flow:
				key = f.answeredFlow
			case answers:
				key = f.answeredPair
			case v.flow:
				key = f.flow
			}
			rules = append(rules, state.FilterRule{
				Matches: []state.Match{state.InSet(key, v.name+f.suffix)}, Do: state.Statement{Verb: v.do},
			})
		}
	}
	return rules
}

func has(sets []state.Set, name string) bool {
	return slices.ContainsFunc(sets, func(s state.Set) bool { return s.Name == name })
}

// KeepAddresses accepts, before any translation, what policies let into a network: it shall
// see who comes. What comes by a published port may be translated all the same.
func KeepAddresses(sets []state.Set) []state.Chain {
	var rules []state.FilterRule
	for _, f := range families {
		if name := "policy_allowed" + f.suffix; has(sets, name) {
			rules = append(rules, state.FilterRule{Matches: []state.Match{state.InSet(f.flow, name)}, Do: state.Statement{Verb: state.Accept}})
		}
	}
	if len(rules) == 0 {
		return nil
	}
	return []state.Chain{{Name: Plain, Rules: append([]state.FilterRule{
		{Matches: []state.Match{state.Translated()}, Do: state.Statement{Verb: state.Return}},
	}, rules...)}}
}

// Table is the table of a sandbox in which packets to it are judged, and those that it
// sends if sends says so.
//
// Connections are only tracked in a namespace with a rule that asks for it. One from before
// the table came is taken to be from whoever speaks first, and that may be the server. So
// what goes out from a server's port counts as an answer, whatever the tracking says.
func (j Judgement) Table(p state.Place, stack string, sends bool) (state.Ruleset, bool) {
	r := state.Ruleset{Place: p, Table: state.TableName(stack), Mark: state.Owner{Stack: stack}, Sets: j.Sets()}
	if len(r.Sets) == 0 {
		return r, false
	}
	base := func(hook string, rules ...state.FilterRule) state.Chain {
		return state.Chain{Name: hook, Hook: &state.Hook{Type: "filter", Hook: hook, Policy: state.Accept}, Rules: rules}
	}
	jump := func(chain string, matches ...state.Match) state.FilterRule {
		return state.FilterRule{Matches: matches, Do: state.JumpTo(chain)}
	}
	away := state.ToLink("lo").Negated()
	out := []state.FilterRule{jump(Answers, away, state.FromPortBelow(firstEphemeral))}
	if sends {
		out = append(out, jump(Chain, away))
	}
	r.Chains = append(r.Chains, base("input", jump(Chain, state.FromLink("lo").Negated())), base("output", out...))
	r.Chains = append(r.Chains, Chains(r.Sets)...)
	return r, true
}
