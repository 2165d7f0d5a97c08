package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// packet is the first of a flow.
type packet struct {
	src, dst netip.Addr
	protocol string
	port     uint16
}

// addresses are few, so that ranges and packets meet: 10.0.0.0 to 10.0.0.15.
func drawAddr(t *rapid.T) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 15).Draw(t, "addr"))})
}

func drawPeers(t *rapid.T) []state.Peer {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) state.Peer {
		p, _ := drawAddr(t).Prefix(rapid.SampledFrom([]int{0, 28, 29, 30, 31, 32}).Draw(t, "bits"))
		return state.Peer{Prefixes: []netip.Prefix{p}}
	}), 1, 3).Draw(t, "peers")
}

func drawPolicies(t *rapid.T) []state.Policy {
	rule := rapid.Custom(func(t *rapid.T) state.FlowRule {
		r := state.FlowRule{Deny: rapid.Bool().Draw(t, "deny"), From: drawPeers(t), To: drawPeers(t)}
		if r.Protocol = rapid.SampledFrom([]string{"", "tcp", "udp", "icmp"}).Draw(t, "protocol"); r.Protocol == "tcp" {
			first := rapid.Uint16Range(1, 9).Draw(t, "first")
			r.Ports = []state.PortRange{{First: first, Last: first + rapid.Uint16Range(0, 3).Draw(t, "more")}}
		}
		return r
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) state.Policy {
		return state.Policy{Rules: rapid.SliceOfN(rule, 1, 3).Draw(t, "rules")}
	}), 1, 4).Draw(t, "policies")
}

// said is the verdict as the language defines it.
func said(policies []state.Policy, p packet) Verdict {
	in := func(peers []state.Peer, a netip.Addr) bool {
		return slices.ContainsFunc(peers, func(p state.Peer) bool {
			return slices.ContainsFunc(p.Prefixes, func(r netip.Prefix) bool { return r.Contains(a) })
		})
	}
	verdict := Default
	for _, policy := range policies {
		for _, r := range policy.Rules {
			named := in(r.From, p.src) && in(r.To, p.dst) && (r.Protocol == "" || r.Protocol == p.protocol &&
				(len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(n state.PortRange) bool { return n.First <= p.port && p.port <= n.Last })))
			switch {
			case named && r.Deny:
				return Deny
			case named:
				verdict = Allow
			case !r.Deny && in(r.To, p.dst) && verdict == Default:
				verdict = Deny
			}
		}
	}
	return verdict
}

// done is the verdict of the sets, looked up as the rules do.
func done(sets []state.Set, p packet) Verdict {
	number := protocolNumbers(p.protocol, false)
	for _, v := range verdicts {
		for _, s := range sets {
			if s.Name != v.name+"4" {
				continue
			}
			for _, e := range s.Elements {
				if matches(e.Key, p, number.first) {
					return map[state.Verb]Verdict{state.Return: Default, state.Accept: Allow, state.Drop: Deny}[v.do]
				}
			}
		}
	}
	return Default
}

func matches(key string, p packet, number uint16) bool {
	parts := strings.Split(key, " . ")
	in := func(text string, a netip.Addr) bool {
		first, last, run := strings.Cut(text, "-")
		if prefix, err := netip.ParsePrefix(text); err == nil {
			return prefix.Contains(a)
		}
		if !run {
			last = first
		}
		return netip.MustParseAddr(first).Compare(a) <= 0 && a.Compare(netip.MustParseAddr(last)) <= 0
	}
	if !in(parts[0], p.src) || !in(parts[1], p.dst) {
		return false
	}
	if len(parts) == 2 {
		return true
	}
	protocol := parts[2] == "0-255" || protocols[number] == parts[2]
	first, last, run := strings.Cut(parts[3], "-")
	if !run {
		last = first
	}
	return protocol && atoi(first) <= p.port && p.port <= atoi(last)
}

func atoi(s string) uint16 {
	n := uint16(0)
	for _, r := range s {
		n = n*10 + uint16(r-'0')
	}
	return n
}

// TestSetsSayWhatPoliciesSay: the elements of each set do not overlap, which nftables
// would refuse, and together they decide as the rules are meant, on the host and in each
// sandbox that a flow concerns.
func TestSetsSayWhatPoliciesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t)
		j := Of(policies)
		for _, list := range [][]flows{j.shut, j.denied, j.allowed, j.closed} {
			cut := disjoint(boxes(list, false))
			for i, a := range cut {
				for _, b := range cut[i+1:] {
					if a.overlaps(b) {
						t.Fatalf("%s overlaps %s", a.flow(), b.flow())
					}
				}
			}
		}
		subnet := netip.MustParsePrefix("10.0.0.0/28")
		routed := j.Routed([]netip.Prefix{subnet}, nil).Sets()
		for range 10 {
			p := packet{src: drawAddr(t), dst: drawAddr(t), protocol: rapid.SampledFrom([]string{"tcp", "udp", "icmp"}).Draw(t, "protocol"),
				port: rapid.Uint16Range(1, 14).Draw(t, "port")}
			want := said(policies, p)
			if got := done(routed, p); got != want {
				t.Fatalf("%v: the host says %s, want %s\n%v\n%v", p, got, want, policies, routed)
			}
			at := j.At(Place{Addresses: []netip.Prefix{netip.PrefixFrom(p.dst, 32)}}).Sets()
			if got := done(at, p); got != want {
				t.Fatalf("%v: the target says %s, want %s\n%v\n%v", p, got, want, policies, at)
			}
			host := j.At(Place{Addresses: []netip.Prefix{netip.PrefixFrom(p.dst, 32)}, Exempt: []netip.Addr{p.src, {}}}).Sets()
			if got := done(host, p); got != Default {
				t.Fatalf("%v: the target says %s of the host\n%v\n%v", p, got, policies, host)
			}
			from := j.At(Place{Addresses: []netip.Prefix{netip.PrefixFrom(p.src, 32)}, Sends: true}).Sets()
			if got := done(from, p); got != want {
				t.Fatalf("%v: the sender says %s, want %s\n%v\n%v", p, got, want, policies, from)
			}
		}
	})
}

// TestOrderMeansNothing: the same rules in another order are the same sets.
func TestOrderMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t)
		other := rapid.Permutation(policies).Draw(t, "order")
		if diff := cmp.Diff(Of(policies).Sets(), Of(other).Sets()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestNothingGetsIntoInternalNetworks(t *testing.T) {
	everybody := []state.Peer{{Prefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}
	j := Of([]state.Policy{{Rules: []state.FlowRule{{From: everybody, To: everybody}}}})
	sets := j.Routed([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}, []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24")}).Sets()
	inside, outside := netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.2.0.2")
	for _, p := range []packet{{inside, outside, "tcp", 80}, {outside, inside, "tcp", 80}} {
		if got := done(sets, p); got != Deny {
			t.Errorf("%v: %s", p, got)
		}
	}
	if got := done(sets, packet{inside, netip.MustParseAddr("192.0.2.1"), "tcp", 80}); got != Allow {
		t.Errorf("outside: %s", got)
	}
}

// TestManyEndpointsAreFewElements: whoever has neighboring addresses is one element, and a
// thousand policies are as many elements.
func TestManyEndpointsAreFewElements(t *testing.T) {
	addr := func(i int) []netip.Prefix {
		return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)}
	}
	var all []state.Peer
	var each []state.Policy
	db := []state.Peer{{Block: "endpoint.db", Prefixes: addr(5000)}}
	for i := range 1000 {
		p := state.Peer{Block: "endpoint.e", Prefixes: addr(2 * i)}
		all = append(all, state.Peer{Block: "endpoint.f", Prefixes: addr(i)})
		each = append(each, state.Policy{Rules: []state.FlowRule{{From: []state.Peer{p}, To: db, Protocol: "tcp"}}})
	}
	count := func(policies []state.Policy) (n int) {
		for _, s := range Of(policies).Sets() {
			n += len(s.Elements)
		}
		return n
	}
	if n := count([]state.Policy{{Rules: []state.FlowRule{{From: all, To: all}}}}); n > 60 {
		t.Errorf("a thousand neighbors are %d elements", n)
	}
	if n := count(each); n != 1001 {
		t.Errorf("a thousand policies are %d elements", n)
	}
}

func TestChanges(t *testing.T) {
	peer := func(block state.Address, prefixes ...string) state.Peer {
		p := state.Peer{Block: block}
		for _, text := range prefixes {
			p.Prefixes = append(p.Prefixes, netip.MustParsePrefix(text))
		}
		return p
	}
	app, db := peer("endpoint.app", "10.1.0.2/32", "fd00::2/128"), peer("endpoint.db", "10.1.0.3/32", "fd00::3/128")
	net, four := peer("network.n", "10.1.0.0/24", "fd00::/64"), peer("", "10.0.0.0/8")
	rule := func(deny bool, from, to state.Peer, ports ...state.PortRange) state.FlowRule {
		r := state.FlowRule{Deny: deny, From: []state.Peer{from}, To: []state.Peer{to}, Ports: ports}
		if len(ports) > 0 {
			r.Protocol = "tcp"
		}
		return r
	}
	sql := state.PortRange{First: 5432, Last: 5432}
	for _, tt := range []struct {
		name     string
		old, new []state.FlowRule
		want     []string
	}{
		{"nothing", nil, nil, nil},
		{"allowed", nil, []state.FlowRule{rule(false, app, db, sql)}, []string{
			"endpoint.app -> endpoint.db tcp/5432: default -> allow", "all others -> endpoint.db any: default -> deny"}},
		{"denied by a network", []state.FlowRule{rule(false, app, db, sql)}, []state.FlowRule{rule(false, app, db, sql), rule(true, net, db)}, []string{
			"endpoint.app -> endpoint.db tcp/5432: allow -> deny"}},
		{"denied", []state.FlowRule{rule(false, app, db)}, []state.FlowRule{rule(false, app, db), rule(true, app, db, sql)}, []string{
			"endpoint.app -> endpoint.db tcp/5432: allow -> deny"}},
		{"another service", []state.FlowRule{rule(false, app, db, sql)}, []state.FlowRule{rule(false, app, db)}, []string{
			"endpoint.app -> endpoint.db any: deny -> allow"}},
		{"one family", nil, []state.FlowRule{rule(true, four, db)}, []string{"10.0.0.0/8 -> endpoint.db any: default -> deny"}},
		{"the same by another name", []state.FlowRule{rule(false, net, db)}, []state.FlowRule{rule(false, net, db), rule(false, app, db)}, nil},
		{"taken away", []state.FlowRule{rule(true, app, db)}, nil, []string{"endpoint.app -> endpoint.db any: deny -> default"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range Changes([]state.Policy{{Rules: tt.old}}, []state.Policy{{Rules: tt.new}}) {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(slices.Clip(append([]string(nil), tt.want...)), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
