package state_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
)

func rule(owner string, do state.Statement, matches ...state.Match) state.FilterRule {
	return state.FilterRule{Matches: matches, Do: do, Owner: owner}
}

func shop() state.Ruleset {
	accept, drop := state.Statement{Verb: state.Accept}, state.Statement{Verb: state.Drop}
	return state.Ruleset{
		Place: state.Host, Table: state.TableName("shop"), Mark: state.Owner{Stack: "shop"},
		Sets: []state.Set{{
			Name: "forward_to", Key: state.TypeIfName, Data: state.TypeVerdict,
			Elements: []state.Element{{Key: "br-front", Do: state.JumpTo("to-br-front"), Owner: "network.front"}},
		}, {
			Name: "published", Key: state.ProtoPort, Data: state.AddrPort4,
			Elements: []state.Element{{Key: "tcp . 80", Data: "10.1.0.2 . 8080", Owner: "endpoint.web"}},
		}},
		Chains: []state.Chain{{
			Name:  "to-br-front",
			Owner: "network.front",
			Rules: []state.FilterRule{
				rule("network.front", accept, state.FromLink("br-front")),
				rule("network.front", accept, state.Established()),
				rule("network.front", drop),
			},
		}, {
			Name:  "forward",
			Hook:  &state.Hook{Type: "filter", Hook: "forward", Policy: state.Accept},
			Rules: []state.FilterRule{rule("", state.LookUp(state.OifName, "forward_to"))},
		}, {
			Name: "postrouting",
			Hook: &state.Hook{Type: "nat", Hook: "postrouting", Priority: 100, Policy: state.Accept},
			Rules: []state.FilterRule{
				rule("network.front", state.Statement{Verb: state.Masquerade},
					state.FromAddr(netip.MustParsePrefix("10.1.0.0/24")), state.ToLink("br-front").Negated()),
			},
		}, {
			Name: "prerouting",
			Hook: &state.Hook{Type: "nat", Hook: "prerouting", Priority: -100, Policy: state.Accept},
			Rules: []state.FilterRule{
				rule("", state.DNATByPort("published", false), state.LocalDestination()),
			},
		}},
	}
}

func TestRulesetText(t *testing.T) {
	const want = `table inet cnm_shop {
	comment "cnm:shop"

	map forward_to {
		type ifname : verdict
		elements = { "br-front" comment "network.front" : jump to-br-front }
	}

	map published {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 80 comment "endpoint.web" : 10.1.0.2 . 8080 }
	}

	chain to-br-front {
		comment "network.front"
		iifname "br-front" accept comment "network.front"
		ct state established,related accept comment "network.front"
		drop comment "network.front"
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		oifname vmap @forward_to
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.1.0.0/24 oifname != "br-front" masquerade comment "network.front"
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local dnat ip to meta l4proto . th dport map @published
	}
}
`
	if diff := cmp.Diff(want, shop().String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRulesetSurvivesJSON(t *testing.T) {
	want := shop()
	want.Chains[0].Rules = append(want.Chains[0].Rules,
		state.FilterRule{Opaque: &state.OpaqueRule{Exprs: []byte{1, 2}, Userdata: []byte{3}}})
	want.Sets = append(want.Sets, state.Set{Name: "x", Opaque: &state.OpaqueSet{Attrs: []byte{4}, Elements: [][]byte{{5}}}})
	text, err := state.EncodeObject(want)
	if err != nil {
		t.Fatal(err)
	}
	back, err := state.DecodeObject(text)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := back.(state.Ruleset)
	if !ok || !got.Equal(want) {
		t.Errorf("wrote %s\nread %#v", text, back)
	}
}

func TestRulesetDifferences(t *testing.T) {
	foreign := state.FilterRule{Opaque: &state.OpaqueRule{Exprs: []byte{1}}}
	tests := []struct {
		name   string
		change func(live *state.Ruleset)
		want   []string
	}{
		{"nothing", func(*state.Ruleset) {}, nil},
		{"a rule in front is one difference, not four", func(r *state.Ruleset) {
			r.Chains[0].Rules = append([]state.FilterRule{rule("", state.Statement{Verb: state.Accept})}, r.Chains[0].Rules...)
		}, []string{`to-br-front[0]: "accept" → ""`}},
		{"a lost rule", func(r *state.Ruleset) { r.Chains[0].Rules = r.Chains[0].Rules[:2] },
			[]string{`to-br-front[2]: "" → "drop comment \"network.front\""`}},
		{"a changed rule", func(r *state.Ruleset) { r.Chains[2].Rules[0].Matches = r.Chains[2].Rules[0].Matches[:1] },
			[]string{`postrouting[0]: "ip saddr 10.1.0.0/24 masquerade comment \"network.front\"" → ` +
				`"ip saddr 10.1.0.0/24 oifname != \"br-front\" masquerade comment \"network.front\""`}},
		{"a foreign rule", func(r *state.Ruleset) { r.Chains[1].Rules = append(r.Chains[1].Rules, foreign) },
			[]string{`forward[1]: "# (a rule that cnmctl did not write)" → ""`}},
		{"a flushed set", func(r *state.Ruleset) { r.Sets[0].Elements = nil },
			[]string{`forward_to[0]: "" → "\"br-front\" comment \"network.front\" : jump to-br-front"`}},
		{"a foreign chain", func(r *state.Ruleset) { r.Chains = append(r.Chains, state.Chain{Name: "mine"}) },
			[]string{`mine: "chain" → ""`}},
		{"a policy", func(r *state.Ruleset) {
			hook := *r.Chains[1].Hook
			hook.Policy = state.Drop
			r.Chains[1].Hook = &hook
		}, []string{`forward: "type filter hook forward priority filter; policy drop;" → "type filter hook forward priority filter; policy accept;"`}},
		{"dormant", func(r *state.Ruleset) { r.Dormant = true }, []string{`dormant: "true" → "false"`}},
		{"a counter object", func(r *state.Ruleset) { r.Others = 1 }, []string{`other_objects: "1" → "0"`}},
		{"another order of chains", func(r *state.Ruleset) { r.Chains[0], r.Chains[1] = r.Chains[1], r.Chains[0] },
			[]string{`table: "(the same words in another order)" → "cnm_shop"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live := shop()
			tt.change(&live)
			var got []string
			for _, f := range state.Compare(shop(), live).Fields {
				got = append(got, fmt.Sprintf("%s: %q → %q", f.Name, f.Old, f.New))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRulesetDifferencesOfBigMaps(t *testing.T) {
	big := func(skip int) state.Ruleset {
		s := state.Set{Name: "published", Key: state.ProtoPort, Data: state.AddrPort4}
		for port := range 5000 {
			if port != skip {
				s.Elements = append(s.Elements, state.Element{Key: fmt.Sprintf("tcp . %d", port), Data: "10.1.0.2 . 80"})
			}
		}
		return state.Ruleset{Table: "cnm_x", Sets: []state.Set{s}}
	}
	want, live := big(2), big(4990)
	want.Sets[0].Elements[0].Data = "10.1.0.3 . 80"
	want.Sets[0].Elements[4998].Data = "10.1.0.3 . 80"
	fields := state.Compare(want, live).Fields
	if len(fields) < 3 || len(fields) > 6 {
		t.Errorf("four changed lines are %d differences", len(fields))
	}
}

func TestNFTName(t *testing.T) {
	long := strings.Repeat("x", 300)
	seen := map[string]string{}
	for _, text := range []string{"shop", "my-shop.1", "a b", "a_b", "a/b", "ä", "", long, long + "y"} {
		name := state.NFTName(text)
		if other, taken := seen[name]; taken && text != "" {
			t.Errorf("%q and %q are both %q", text, other, name)
		}
		seen[name] = text
		if len(name) > 110 {
			t.Errorf("%q has %d bytes", name, len(name))
		}
		if strings.ContainsAny(name, " /ä\"") {
			t.Errorf("%q is no name", name)
		}
	}
	if got := state.NFTName("my-shop.1"); got != "my-shop.1" {
		t.Errorf("a good name became %q", got)
	}
}

func TestRuleOwner(t *testing.T) {
	long := state.Address(`network.front["` + strings.Repeat("ä", 80) + `"]`)
	for a, want := range map[state.Address]string{
		"network.front":                "network.front",
		`module.m["x"].network.f["y"]`: `module.m['x'].network.f['y']`,
		"network.front[\"a\nb\"]":      `network.front['a b']`,
	} {
		if got := state.RuleOwner(a); got != want {
			t.Errorf("%q: got %q, want %q", a, got, want)
		}
	}
	if got := state.RuleOwner(long); len(got) > 120 || !strings.HasPrefix(got, "network.front['ä") {
		t.Errorf("a long owner became %q (%d bytes)", got, len(got))
	}
	if state.RuleOwner(long) == state.RuleOwner(long+"x") {
		t.Error("two long owners have one comment")
	}
}
