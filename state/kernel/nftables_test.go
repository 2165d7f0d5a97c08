package kernel

import (
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

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

// applyOp runs an op on a table of the thread's namespace.
func applyOp(op state.Op) error {
	c, err := openFilter(newBuffers(), &ruleMemo{})
	if err != nil {
		return err
	}
	defer c.close()
	return c.applyRuleset(op)
}

func apply(t fataler, r state.Ruleset) {
	t.Helper()
	if err := applyOp(state.Op{Action: state.Create, Key: r.Key(), After: r}); err != nil {
		t.Fatalf("%v\n%s", err, r)
	}
}

// readTables reads the stack's tables in the thread's namespace.
func readTables(stack string) ([]state.Object, error) {
	k := &Kernel{stack: stack, buffers: newBuffers()}
	return k.readRulesets(state.Host)
}

// read is the stack's table, or nil.
func read(t fataler, stack string) state.Object {
	t.Helper()
	objects, err := readTables(stack)
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
		if err := applyOp(state.Op{Action: state.Delete, Key: want.Key(), Before: want}); err != nil {
			t.Fatalf("%v", err)
		}
		if left := nft(t, "", "list", "ruleset"); left != "" {
			t.Errorf("left behind:\n%s", left)
		}
	})
}

// small is a table with one of each.
func small() state.Ruleset {
	accept := state.Statement{Verb: state.Accept}
	return state.Ruleset{
		Place: state.Host, Table: "cnm_shop", Mark: state.Owner{Stack: "shop"},
		Sets: []state.Set{{Name: "forward_to", Key: state.TypeIfName, Data: state.TypeVerdict,
			Elements: []state.Element{{Key: "br0", Do: state.JumpTo("to-br0"), Owner: "network.front"}}}},
		Chains: []state.Chain{
			{Name: "forward", Hook: &state.Hook{Type: "filter", Hook: "forward", Policy: state.Accept},
				Rules: []state.FilterRule{{Do: state.LookUp(state.OifName, "forward_to")}}},
			{Name: "to-br0", Owner: "network.front", Rules: []state.FilterRule{
				{Matches: []state.Match{state.FromLink("br0")}, Do: accept, Owner: "network.front"}}},
		},
	}
}

// TestRulesetDrift: what somebody else has done to our table is seen, and can be put back.
func TestRulesetDrift(t *testing.T) {
	h := kerneltest.NewHost(t)
	for name, change := range map[string]string{
		"rule with a counter":        "add rule inet cnm_shop forward counter accept",
		"rule with an anonymous set": `add rule inet cnm_shop forward iifname { "a", "b" } tcp dport { 80, 443, 8000-8080 } drop`,
		"rule with a limit and log":  `add rule inet cnm_shop to-br0 limit rate 5/second log prefix "x" drop comment "mine"`,
		"rule with an anonymous map": "add rule inet cnm_shop to-br0 tcp dport vmap { 22 : accept, 23 : drop }",
		"rule that we could write":   `add rule inet cnm_shop forward iifname "x" drop`,
		"set with intervals":         "add set inet cnm_shop nets { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.9.0.1-10.9.0.7 }; }",
		"set with pairs of ranges":   "add set inet cnm_shop pairs { type ipv4_addr . ipv4_addr; flags interval; elements = { 10.0.0.0/24 . 10.9.0.1-10.9.0.7 }; }",
		"set with timeouts":          "add set inet cnm_shop late { type ipv4_addr; timeout 1h; size 128; comment \"x\"; }",
		"map to marks":               "add map inet cnm_shop marks { type ipv4_addr : mark; elements = { 10.0.0.1 : 7 }; }",
		"element":                    `add element inet cnm_shop forward_to { "br1" : drop }`,
		"element gone":               `delete element inet cnm_shop forward_to { "br0" }`,
		"chain":                      "add chain inet cnm_shop mine { type filter hook input priority 5; policy drop; }",
		"policy":                     "add chain inet cnm_shop forward { policy drop; }",
		"flushed":                    "flush chain inet cnm_shop to-br0",
	} {
		h.Sub(name, func(t *testing.T) {
			apply(t, small())
			nft(t, change+"\n", "-f", "-")
			changed := nft(t, "", "list", "ruleset")
			drifted := read(t, "shop")
			if state.Compare(small(), drifted).Same() {
				t.Errorf("not seen:\n%s", changed)
			}
			apply(t, small())
			sameTable(t, "repaired", small(), read(t, "shop"))
			apply(t, drifted.(state.Ruleset))
			if back := nft(t, "", "list", "ruleset"); back != changed {
				t.Errorf("put back (-was +is)\n%s", cmp.Diff(changed, back))
			}
			sameTable(t, "put back", drifted, read(t, "shop"))
		})
	}
	for name, change := range map[string]string{
		"counter object": "add counter inet cnm_shop c",
		"dormant":        "add table inet cnm_shop { flags dormant; }",
	} {
		h.Sub(name, func(t *testing.T) {
			apply(t, small())
			nft(t, change+"\n", "-f", "-")
			if state.Compare(small(), read(t, "shop")).Same() {
				t.Errorf("not seen:\n%s", nft(t, "", "list", "ruleset"))
			}
			apply(t, small())
			sameTable(t, "repaired", small(), read(t, "shop"))
		})
	}
	nft(t, "", "flush", "ruleset")
}

// TestForeignTable: a table of our name without our mark is nobody's but its owner's.
func TestForeignTable(t *testing.T) {
	h := kerneltest.NewHost(t)
	for name, table := range map[string]string{
		"without a mark":       "add table inet cnm_shop; add chain inet cnm_shop forward { type filter hook forward priority filter; }",
		"with another":         `table inet cnm_shop { comment "mine"; }`,
		"with another stack's": `table inet cnm_shop { comment "cnm:shop2"; }`,
	} {
		h.Sub(name, func(t *testing.T) {
			nft(t, table+"\n", "-f", "-")
			before := nft(t, "", "list", "ruleset")
			if f, ok := read(t, "shop").(state.Foreign); !ok || f.K != small().Key() || f.What == "" {
				t.Errorf("read as %+v", read(t, "shop"))
			}
			for _, op := range []state.Op{{Action: state.Create, After: small()}, {Action: state.Delete, Before: small()}} {
				if err := applyOp(op); err == nil || !strings.Contains(err.Error(), "there is") {
					t.Errorf("%s: error %v", op.Action, err)
				}
			}
			if after := nft(t, "", "list", "ruleset"); after != before {
				t.Errorf("changed: %s", cmp.Diff(before, after))
			}
			nft(t, "", "flush", "ruleset")
		})
	}
}

// TestRulesetErrors: the error names the rule, and the old rules stand.
func TestRulesetErrors(t *testing.T) {
	h := kerneltest.NewHost(t)
	masquerade := state.FilterRule{Do: state.Statement{Verb: state.Masquerade}, Owner: "network.front"}
	for name, c := range map[string]struct {
		break_ func(r *state.Ruleset)
		want   string
	}{
		"the kernel refuses a rule": {func(r *state.Ruleset) {
			r.Chains[0].Rules = append(r.Chains[0].Rules, masquerade, masquerade)
		}, `adding rule 2 of chain forward (masquerade comment "network.front"): operation not supported`},
		"a chain is missing": {func(r *state.Ruleset) {
			r.Chains[1].Rules[0].Do = state.JumpTo("nowhere")
		}, `adding rule 1 of chain to-br0 (iifname "br0" jump nowhere comment "network.front"): no such file or directory`},
		"an element leads nowhere": {func(r *state.Ruleset) {
			r.Sets[0].Elements[0].Do = state.JumpTo("nowhere")
		}, `adding map forward_to, elements 1 to 1: no such file or directory`},
		"a value is none": {func(r *state.Ruleset) {
			r.Chains[1].Rules[0].Matches[0].Value = "a name that is too long"
		}, `adding rule 1 of chain to-br0 (iifname "a name that is too long" accept comment "network.front"): "a name that is too long" is not the name of an interface`},
		"a hook is none": {func(r *state.Ruleset) {
			hook := *r.Chains[0].Hook
			hook.Hook = "nowhere"
			r.Chains[0].Hook = &hook
		}, `adding chain forward: "nowhere" is not a hook`},
	} {
		h.Sub(name, func(t *testing.T) {
			apply(t, small())
			before := nft(t, "", "list", "ruleset")
			r := small()
			c.break_(&r)
			err := applyOp(state.Op{Action: state.Update, After: r})
			if err == nil || err.Error() != c.want {
				t.Errorf("error\n%v\nwant\n%s", err, c.want)
			}
			if after := nft(t, "", "list", "ruleset"); after != before {
				t.Errorf("changed: %s", cmp.Diff(before, after))
			}
		})
	}
	nft(t, "", "flush", "ruleset")
}

// TestDeleteRulesetTwice: absence is success.
func TestDeleteRulesetTwice(t *testing.T) {
	kerneltest.NewHost(t)
	for range 2 {
		if err := applyOp(state.Op{Action: state.Delete, Before: small()}); err != nil {
			t.Error(err)
		}
	}
}

// big is a table with n networks and n published ports.
func big(n int) state.Ruleset {
	r := small()
	r.Sets[0].Elements = nil
	ports := state.Set{Name: "published", Key: state.ProtoPort, Data: state.AddrPort4}
	r.Chains = append(r.Chains[:1], state.Chain{Name: "prerouting", Hook: &state.Hook{Type: "nat", Hook: "prerouting", Priority: -100, Policy: state.Accept},
		Rules: []state.FilterRule{{Matches: []state.Match{state.LocalDestination()}, Do: state.DNATByPort("published", false)}}})
	for i := range n {
		dev, owner := fmt.Sprintf("br%05d", i), fmt.Sprintf("network.front['a-rather-long-key-%05d']", i)
		r.Sets[0].Elements = append(r.Sets[0].Elements, state.Element{Key: dev, Do: state.JumpTo("to-" + dev), Owner: owner})
		ports.Elements = append(ports.Elements, state.Element{Key: fmt.Sprintf("tcp . %d", 10000+i), Data: "10.1.0.2 . 80", Owner: owner})
		r.Chains = append(r.Chains, state.Chain{Name: "to-" + dev, Owner: owner, Rules: []state.FilterRule{
			{Matches: []state.Match{state.FromLink(dev)}, Do: state.Statement{Verb: state.Accept}, Owner: owner},
			{Matches: []state.Match{state.Established()}, Do: state.Statement{Verb: state.Accept}, Owner: owner},
			{Do: state.Statement{Verb: state.Drop}, Owner: owner},
		}})
	}
	r.Sets = append(r.Sets, ports)
	return r
}

// TestBigRuleset: a transaction of thousands of messages goes through as one, and so does
// the error about one of them.
func TestBigRuleset(t *testing.T) {
	kerneltest.NewHost(t)
	r := big(1000)
	start := time.Now()
	apply(t, r)
	written := time.Since(start)
	start = time.Now()
	live := read(t, "shop")
	t.Logf("1000 networks and ports: written in %s, read in %s", written.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	sameTable(t, "big", r, live)
	r.Chains[700].Rules[1].Do = state.JumpTo("nowhere")
	if err := applyOp(state.Op{Action: state.Update, After: r}); err == nil || !strings.Contains(err.Error(), "of chain to-br00698 (ct state") {
		t.Errorf("error %v", err)
	}
	sameTable(t, "after the error", big(1000), read(t, "shop"))
	nft(t, "", "flush", "ruleset")
}

func BenchmarkReadNoRuleset(b *testing.B) {
	kerneltest.NewHost(b)
	for b.Loop() {
		if objects, err := readTables("shop"); err != nil || len(objects) > 0 {
			b.Fatal(objects, err)
		}
	}
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
		{Name: "at4", Key: state.AddrProtoPort4, Data: state.AddrPort4, Elements: drawPortsAt(t, drawIPv4)},
		{Name: "at6", Key: state.AddrProtoPort6, Data: state.AddrPort6, Elements: drawPortsAt(t, drawIPv6)},
		{Name: "open4", Key: state.AddrProtoPort4, Elements: withoutData(drawPortsAt(t, drawIPv4))},
		{Name: "open6", Key: state.AddrProtoPort6, Elements: withoutData(drawPortsAt(t, drawIPv6))},
		{Name: "pair4", Key: state.Pair4, Interval: true, Elements: drawRanges(t, drawIPv4, false)},
		{Name: "pair6", Key: state.Pair6, Interval: true, Elements: drawRanges(t, drawIPv6, false)},
		{Name: "flow4", Key: state.Flow4, Interval: true, Elements: drawRanges(t, drawIPv4, true)},
		{Name: "flow6", Key: state.Flow6, Interval: true, Elements: drawRanges(t, drawIPv6, true)},
	}
	slices.SortFunc(r.Sets, func(a, b state.Set) int { return strings.Compare(a.Name, b.Name) })
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

// drawPortsAt are ports of addresses.
func drawPortsAt(t *rapid.T, addr func(*rapid.T) string) []state.Element {
	list := drawPorts(t, addr)
	for i := range list {
		list[i].Key = addr(t) + " . " + list[i].Key
	}
	slices.SortFunc(list, func(a, b state.Element) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// drawRanges are pairs of ranges of addresses, with protocols and ports; the first ranges
// do not overlap.
func drawRanges(t *rapid.T, addr func(*rapid.T) string, flow bool) []state.Element {
	ends := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) netip.Addr { return netip.MustParseAddr(addr(t)) }), 2, 6, rapid.ID[netip.Addr]).Draw(t, "ends")
	slices.SortFunc(ends, netip.Addr.Compare)
	var list []state.Element
	for i := 0; i+1 < len(ends); i += 2 {
		key := state.AddrRange{First: ends[i], Last: ends[i+1]}.String()
		to := netip.PrefixFrom(ends[0], rapid.IntRange(0, ends[0].BitLen()).Draw(t, "bits"))
		key += " . " + state.RangeOf(to).String()
		if flow {
			key += " . " + rapid.SampledFrom([]string{"tcp", "udp", "ipv6-icmp", "0-255"}).Draw(t, "proto")
			first := rapid.Uint16().Draw(t, "first")
			key += " . " + state.PortRange{First: first, Last: first | rapid.Uint16().Draw(t, "more")}.String()
		}
		list = append(list, state.Element{Key: key, Owner: drawOwner(t)})
	}
	slices.SortFunc(list, func(a, b state.Element) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func withoutData(list []state.Element) []state.Element {
	for i := range list {
		list[i].Data = ""
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
		switch rapid.IntRange(0, 3).Draw(t, "dnat") {
		case 0:
			return state.DNATTo(netip.MustParseAddr(addr(t)), 0)
		case 1:
			return state.DNATTo(netip.MustParseAddr(addr(t)), rapid.Uint16Min(1).Draw(t, "to port"))
		case 2:
			if ipv6 {
				return state.DNATBy(state.AddrPortKey6, "at6", true)
			}
			return state.DNATBy(state.AddrPortKey4, "at4", false)
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
	saddr, hosts, key, open := state.SaddrIPv4, "hosts4", state.AddrPortKey4, "open4"
	if ipv6 {
		saddr, hosts, key, open = state.SaddrIPv6, "hosts6", state.AddrPortKey6, "open6"
	}
	family, pair, flow := "4", state.PairKey4, state.FlowKey4
	if ipv6 {
		family, pair, flow = "6", state.AnsweredPairKey6, state.AnsweredFlowKey6
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
		func() state.Match { return not(state.InSet(key, open)) },
		func() state.Match { return not(state.InSet(pair, "pair"+family)) },
		func() state.Match { return not(state.InSet(flow, "flow"+family)) },
		func() state.Match { return state.Unjudged() },
		func() state.Match { return not(state.Answers()) },
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
	if rapid.Bool().Draw(t, "source") {
		return append(list, state.FromPortBelow(rapid.Uint16Min(1).Draw(t, "below")))
	}
	return append(list, not(state.ToPort(rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(t, "proto"), rapid.Uint16Min(1).Draw(t, "port"))))
}

func sortedNames(set map[string]bool) []string {
	names := slices.Collect(maps.Keys(set))
	slices.Sort(names)
	return names
}

var longOwner = state.Address(`module.m["x"].network.f["` + strings.Repeat("y", 150) + `"]`)
