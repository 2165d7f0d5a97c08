package kernel

import (
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// nft runs the real one in the thread's namespace.
func nft(t fataler, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("nft", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft %s: %v\n%s\n%s", strings.Join(args, " "), err, out, stdin)
	}
	return string(out)
}

func apply(t fataler, r state.Ruleset) {
	t.Helper()
	if err := applyRuleset(-1, state.Op{Action: state.Create, Key: r.Key(), After: r}); err != nil {
		t.Fatalf("%v\n%s", err, r)
	}
}

// read is the stack's table, or nil.
func read(t fataler, stack string) state.Object {
	t.Helper()
	objects, err := readRulesets(-1, state.Host, stack)
	if err != nil {
		t.Fatalf("%v", err)
	}
	switch len(objects) {
	case 0:
		return nil
	case 1:
		return objects[0]
	}
	t.Fatalf("%d objects", len(objects))
	return nil
}

func sameTable(t fataler, how string, want, got state.Object) {
	t.Helper()
	if got == nil {
		t.Fatalf("%s: no table", how)
	}
	if d := state.Compare(want, got); !d.Same() {
		t.Errorf("%s: %s", how, cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)))
		for _, f := range d.Fields {
			t.Errorf("%+v", f)
		}
	}
}

// TestRulesetRoundTrip: what is written is read, what is printed is what nft reads, and
// both ways make the same table.
func TestRulesetRoundTrip(t *testing.T) {
	kerneltest.NewHost(t)
	rapid.Check(t, func(t *rapid.T) {
		want := drawRuleset(t)
		apply(t, want)
		sameTable(t, "written and read", want, read(t, want.Mark.Stack))
		ours := nft(t, "", "-s", "list", "ruleset")
		nft(t, want.Script(), "-f", "-")
		theirs := nft(t, "", "-s", "list", "ruleset")
		if ours != theirs {
			t.Errorf("(-netlink +nft)\n%s", cmp.Diff(ours, theirs))
		}
		sameTable(t, "written by nft and read", want, read(t, want.Mark.Stack))
		if err := applyRuleset(-1, state.Op{Action: state.Delete, Key: want.Key(), Before: want}); err != nil {
			t.Fatalf("%v", err)
		}
		if left := nft(t, "", "list", "ruleset"); left != "" {
			t.Errorf("left behind:\n%s", left)
		}
	})
}

func drawRuleset(t *rapid.T) state.Ruleset {
	stack := rapid.SampledFrom([]string{"shop", "my-shop.2", "a b"}).Draw(t, "stack")
	r := state.Ruleset{Place: state.Host, Table: state.TableName(stack), Mark: state.Owner{Stack: stack}}
	r.Sets = []state.Set{
		{Name: "dev_jumps", Key: state.TypeIfName, Data: state.TypeVerdict, Elements: drawElements(t, drawLink, true)},
		{Name: "dev_names", Key: state.TypeIfName, Owner: drawOwner(t), Elements: drawElements(t, drawLink, false)},
		{Name: "hosts4", Key: state.TypeIPv4, Elements: drawElements(t, drawIPv4, false)},
		{Name: "hosts6", Key: state.TypeIPv6, Elements: drawElements(t, drawIPv6, false)},
		{Name: "ports4", Key: state.ProtoPort, Data: state.AddrPort4, Elements: drawPorts(t, drawIPv4)},
		{Name: "ports6", Key: state.ProtoPort, Data: state.AddrPort6, Elements: drawPorts(t, drawIPv6)},
	}
	hook := func(typ, hook string, priority int) *state.Hook {
		return &state.Hook{Type: typ, Hook: hook, Priority: priority, Policy: rapid.SampledFrom([]state.Verb{state.Accept, state.Drop}).Draw(t, "policy")}
	}
	verdicts := []state.Verb{state.Accept, state.Drop, state.Return, state.Jump, state.Goto, state.VerdictMap}
	r.Chains = []state.Chain{
		{Name: "prerouting", Hook: hook("nat", "prerouting", -100), Rules: drawRules(t, state.DNAT, state.Accept)},
		{Name: "output", Hook: hook("nat", "output", -100), Rules: drawRules(t, state.DNAT, state.Return)},
		{Name: "forward", Hook: hook("filter", "forward", rapid.SampledFrom([]int{0, -5, -150, 50, 7}).Draw(t, "priority")), Rules: drawRules(t, verdicts...)},
		{Name: "postrouting", Hook: hook("nat", "postrouting", 100), Rules: drawRules(t, state.Masquerade, state.SNAT, state.Accept)},
		{Name: "own", Owner: drawOwner(t), Rules: drawRules(t, state.Accept, state.Drop, state.Return)},
	}
	return r
}

func drawLink(t *rapid.T) string {
	return rapid.StringMatching(`[a-z][a-z0-9._-]{0,14}`).Draw(t, "link")
}

func drawIPv4(t *rapid.T) string {
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ipv4"))).String()
}

func drawIPv6(t *rapid.T) string {
	return netip.AddrFrom16([16]byte(append([]byte{0xfd}, rapid.SliceOfN(rapid.Byte(), 15, 15).Draw(t, "ipv6")...))).String()
}

func drawOwner(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "network.front", state.RuleOwner(longOwner)}).Draw(t, "owner")
}

func drawElements(t *rapid.T, key func(*rapid.T) string, verdict bool) []state.Element {
	var list []state.Element
	for _, k := range sortedSet(rapid.SliceOfN(rapid.Custom(key), 1, 4).Draw(t, "keys")) {
		e := state.Element{Key: k, Owner: drawOwner(t)}
		if verdict {
			e.Do = rapid.SampledFrom([]state.Statement{{Verb: state.Accept}, {Verb: state.Drop}, state.JumpTo("own"), {Verb: state.Return}}).Draw(t, "verdict")
		}
		list = append(list, e)
	}
	return list
}

func drawPorts(t *rapid.T, addr func(*rapid.T) string) []state.Element {
	var list []state.Element
	keys := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%s . %d", rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(t, "proto"), rapid.Uint16Min(1).Draw(t, "port"))
	}), 1, 4).Draw(t, "ports")
	for _, k := range sortedSet(keys) {
		list = append(list, state.Element{Key: k, Data: fmt.Sprintf("%s . %d", addr(t), rapid.Uint16Min(1).Draw(t, "to")), Owner: drawOwner(t)})
	}
	return list
}

func sortedSet(list []string) []string {
	seen := map[string]bool{}
	for _, s := range list {
		seen[s] = true
	}
	return sortedNames(seen)
}

func drawRules(t *rapid.T, verbs ...state.Verb) []state.FilterRule {
	var rules []state.FilterRule
	for range rapid.IntRange(0, 5).Draw(t, "rules") {
		verb := rapid.SampledFrom(verbs).Draw(t, "verb")
		ipv6 := rapid.Bool().Draw(t, "ipv6")
		r := state.FilterRule{Owner: drawOwner(t), Matches: drawMatches(t, ipv6)}
		r.Do = drawStatement(t, verb, ipv6)
		rules = append(rules, r)
	}
	return rules
}

func drawStatement(t *rapid.T, verb state.Verb, ipv6 bool) state.Statement {
	addr := drawIPv4
	if ipv6 {
		addr = drawIPv6
	}
	switch verb {
	case state.Jump, state.Goto:
		return state.Statement{Verb: verb, Chain: "own"}
	case state.VerdictMap:
		return state.LookUp(rapid.SampledFrom([]state.Selector{state.IifName, state.OifName}).Draw(t, "key"), "dev_jumps")
	case state.SNAT:
		return state.SNATTo(netip.MustParseAddr(addr(t)))
	case state.DNAT:
		switch rapid.IntRange(0, 2).Draw(t, "dnat") {
		case 0:
			return state.DNATTo(netip.MustParseAddr(addr(t)), 0)
		case 1:
			return state.DNATTo(netip.MustParseAddr(addr(t)), rapid.Uint16Min(1).Draw(t, "to port"))
		}
		if ipv6 {
			return state.DNATByPort("ports6", true)
		}
		return state.DNATByPort("ports4", false)
	}
	return state.Statement{Verb: verb}
}

// drawMatches draws conditions on different things, in any order. The protocol comes last
// because ports and translations with ports depend on it.
func drawMatches(t *rapid.T, ipv6 bool) []state.Match {
	prefix := func() netip.Prefix {
		if ipv6 {
			return netip.PrefixFrom(netip.MustParseAddr(drawIPv6(t)), rapid.IntRange(1, 128).Draw(t, "bits"))
		}
		return netip.PrefixFrom(netip.MustParseAddr(drawIPv4(t)), rapid.IntRange(1, 32).Draw(t, "bits"))
	}
	saddr, hosts := state.SaddrIPv4, "hosts4"
	if ipv6 {
		saddr, hosts = state.SaddrIPv6, "hosts6"
	}
	not := func(m state.Match) state.Match {
		if rapid.Bool().Draw(t, "not") {
			return m.Negated()
		}
		return m
	}
	all := []func() state.Match{
		func() state.Match { return not(state.FromLink(drawLink(t))) },
		func() state.Match { return not(state.ToLink(drawLink(t))) },
		func() state.Match { return not(state.InSet(state.OifName, "dev_names")) },
		func() state.Match { return not(state.FromAddr(prefix())) },
		func() state.Match { return not(state.ToAddr(prefix())) },
		func() state.Match { return not(state.InSet(saddr, hosts)) },
		func() state.Match { return state.Established() },
		func() state.Match { return state.Match{Selector: state.CTState, Value: "new"} },
		func() state.Match { return state.Translated() },
		func() state.Match { return not(state.LocalDestination()) },
		func() state.Match { return not(state.MarkIs(rapid.Uint32().Draw(t, "mark"))) },
	}
	var list []state.Match
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(all)-1), 0, 4, rapid.ID[int]).Draw(t, "matches") {
		list = append(list, all[i]())
	}
	return append(list, not(state.Port(rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(t, "proto"), rapid.Uint16Min(1).Draw(t, "port"))))
}

func sortedNames(set map[string]bool) []string {
	names := slices.Collect(maps.Keys(set))
	slices.Sort(names)
	return names
}

var longOwner = state.Address(`module.m["x"].network.f["` + strings.Repeat("y", 150) + `"]`)
