package kernel

import (
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
	"github.com/google/go-cmp/cmp"
)

// guarded is a table with all rules that an encrypted network has.
func guarded() state.Ruleset {
	vni := func(more ...state.Match) []state.Match {
		return append([]state.Match{state.ToPort("udp", 4789), state.VNIIs(0x123)}, more...)
	}
	chain := func(name, typ, hook string, priority int, rules ...state.FilterRule) state.Chain {
		return state.Chain{Name: name, Hook: &state.Hook{Type: typ, Hook: hook, Priority: priority, Policy: state.Accept}, Rules: rules}
	}
	return state.Ruleset{Place: state.Host, Table: "cnm_shop", Mark: state.Owner{Stack: stack}, Chains: []state.Chain{
		chain("encrypt", "route", "output", -150, state.FilterRule{Matches: vni(), Do: state.MarkWith(state.IPsecMark(stack)), Owner: "network.front"}),
		chain("encrypted", "filter", "postrouting", 300, state.FilterRule{Matches: vni(state.InClear()), Do: state.Statement{Verb: state.Drop}}),
		chain("decrypted", "filter", "input", -300,
			state.FilterRule{Matches: vni(state.DecryptedWith(state.IPsecMark(stack))), Do: state.Statement{Verb: state.Accept}},
			state.FilterRule{Matches: vni(state.Whole()), Do: state.Statement{Verb: state.Drop}}),
	}}
}

// TestRulesetIPsec: rules about IPsec are read as they are written, by us and by nft.
func TestRulesetIPsec(t *testing.T) {
	kerneltest.NewHost(t)
	apply(t, guarded())
	sameTable(t, "written and read", guarded(), read(t, stack))
	ours := nft(t, "", "-s", "list", "ruleset")
	nft(t, guarded().Script(), "-f", "-")
	// nft leaves no line empty before the first chain.
	text := strings.Replace(guarded().String(), "\n\n", "\n", 1)
	if theirs := nft(t, "", "-s", "list", "ruleset"); ours != theirs || theirs != text {
		t.Errorf("(-netlink +nft)\n%s\n(-ours +nft)\n%s", cmp.Diff(ours, theirs), cmp.Diff(text, theirs))
	}
	sameTable(t, "written by nft and read", guarded(), read(t, stack))
	if !encrypts([]state.Object{read(t, stack)}) {
		t.Error("the table is not known for one that encrypts")
	}
	nft(t, "", "flush", "ruleset")
}
