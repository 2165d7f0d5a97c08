package planner

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"pgregory.net/rapid"
)

// gen draws worlds as drivers would make them, from so few names and numbers that two of
// them have much in common and stand in each other's way.
type gen struct {
	t *rapid.T
	w state.World
}

func drawWorld(t *rapid.T) state.World {
	g := &gen{t, state.World{}}
	subnets := rapid.Permutation([]int{1, 2, 3, 4}).Draw(t, "subnets")
	guard := state.RulesetKey(state.Host, state.TableName(testStack))
	rules := state.Ruleset{Place: state.Host, Table: guard.Name, Mark: state.Owner{Stack: testStack},
		Chains: []state.Chain{{Name: "forward" + fmt.Sprint(g.pick(2))}, {Name: "encrypted"}}}
	var sandboxes []string
	for i := range 4 {
		if g.pick(4) > 0 {
			sandboxes = append(sandboxes, g.sandbox(i))
		}
	}
	for i := range 3 {
		switch g.pick(4) {
		case 0:
		case 1:
			g.wire(i, subnets[i], sandboxes)
		default:
			g.bridge(i, subnets[i], sandboxes, guard)
		}
	}
	for i := range 2 {
		if g.maybe() {
			rules.Chains[1].Rules = append(rules.Chains[1].Rules, g.tunnel(i, guard)...)
		}
	}
	g.w.Add(rules)
	return g.w
}

func (g *gen) pick(n int) int { return rapid.IntRange(0, n-1).Draw(g.t, "pick") }
func (g *gen) maybe() bool    { return g.pick(2) == 0 }

// sandbox adds one, and returns its address' name and namespace as "s0 ns".
func (g *gen) sandbox(i int) string {
	name := fmt.Sprint("s", i)
	ns := fmt.Sprint([]string{"ns", "alt"}[g.pick(2)], i)
	owner := mark(state.Address("sandbox." + name))
	in := state.Netns(ns)
	g.w.Add(
		state.Sandbox{Mark: owner, Name: name, Netns: ns},
		state.Namespace{Name: ns, Mark: owner},
		state.File{Place: in, Name: "hosts", Content: fmt.Sprint("# cnm:shop\n", g.pick(3)), Mark: owner},
	)
	if g.maybe() {
		g.w.Add(state.Sysctl{Place: in, Path: "net/ipv4/ip_forward", Value: fmt.Sprint(g.pick(2)), Mark: owner})
	}
	if g.maybe() {
		g.w.Add(state.Rule{Place: in, Priority: 100, Table: uint32(100 + g.pick(2)), Mark: owner})
	}
	if g.maybe() {
		g.w.Add(state.IPAddress{Place: in, Link: "lo", Prefix: prefix("10.200.0.%d/32", i), Mark: owner})
	}
	return name + " " + ns
}

// bridge adds a bridge network with endpoints.
func (g *gen) bridge(i, subnet int, sandboxes []string, guard state.Key) {
	name := fmt.Sprint("n", i)
	device := fmt.Sprint([]string{"br", "xr"}[g.pick(2)], i)
	owner := mark(state.Address("network." + name))
	gateway := prefix("10.%d.0.%d/24", subnet, 1+8*g.pick(2))
	mtu := 1400 * g.pick(2)
	g.w.Add(
		state.Network{Mark: owner, Name: name, Driver: "bridge", Device: device, MTU: mtu,
			Subnets: []state.Subnet{{CIDR: gateway.Masked(), Gateway: gateway.Addr()}}},
		state.Claim{Network: owner.Address, IP: gateway.Addr(), Mark: owner},
		state.Link{Place: state.Host, Name: device, Mark: owner, Type: state.Bridge, MTU: mtu, MAC: mac(i, 1), Up: true, Guard: guard},
		state.IPAddress{Place: state.Host, Link: device, Prefix: gateway, Mark: owner},
	)
	hosts := rapid.Permutation([]int{2, 3, 4, 5}).Draw(g.t, "hosts")
	for j, s := range sandboxes {
		if g.maybe() {
			g.endpoint(i, j, s, device, mtu, prefix("10.%d.0.%d/24", subnet, hosts[j]), gateway.Addr(), guard)
		}
	}
}

func (g *gen) endpoint(i, j int, sandbox, device string, mtu int, ip netip.Prefix, gateway netip.Addr, guard state.Key) {
	var sb, ns string
	fmt.Sscan(sandbox, &sb, &ns)
	name := fmt.Sprint("e", i, sb)
	owner := mark(state.Address("endpoint." + name))
	inner, outer := fmt.Sprint("eth", i), fmt.Sprint([]string{"ve", "vx"}[g.pick(2)], i, sb)
	in := state.Netns(ns)
	network := state.Address(fmt.Sprint("network.n", i))
	g.w.Add(
		state.Endpoint{Mark: owner, Name: name, Network: network, Sandbox: state.Address("sandbox." + sb), IPv4: ip, Interface: inner, HostInterface: outer},
		state.Claim{Network: network, IP: ip.Addr(), Mark: owner},
		state.Link{Place: state.Host, Name: outer, Mark: owner, Type: state.Veth, MTU: mtu, Up: true, Master: device,
			Hairpin: g.maybe(), Peer: state.End{Place: in, Name: inner}, Guard: guard},
		state.Link{Place: in, Name: inner, Mark: owner, Type: state.Veth, MTU: mtu, Up: true, Peer: state.End{Place: state.Host, Name: outer}, Second: true},
		state.IPAddress{Place: in, Link: inner, Prefix: ip, Mark: owner},
		state.NewRoute(state.Route{Place: in, Dst: prefix("0.0.0.0/0"), Metric: uint32(i), Via: gateway, Dev: inner, Mark: owner}),
	)
	if g.maybe() {
		second := netip.PrefixFrom(addr("10.%d.0.%d", ip.Addr().As4()[1], 100+j), 24)
		g.w.Add(state.IPAddress{Place: in, Link: inner, Prefix: second, Mark: owner},
			state.Claim{Network: network, IP: second.Addr(), Mark: owner})
	}
	if g.maybe() {
		r := state.Route{Place: in, Dst: prefix("10.99.%d.0/24", i), Via: gateway, Dev: inner, Mark: owner}
		if g.maybe() {
			r.Src = ip.Addr()
		}
		g.w.Add(state.NewRoute(r))
	}
	if g.maybe() {
		g.w.Add(state.Sysctl{Place: in, Path: "net/ipv6/conf/" + inner + "/disable_ipv6", Link: inner, Value: fmt.Sprint(g.pick(2)), Mark: owner})
	}
	if g.maybe() {
		g.w.Add(state.Neighbor{Place: in, Link: inner, IP: gateway, MAC: mac(9, g.pick(2)), Mark: owner})
	}
}

// tunnel adds a network with a tunnel between hosts, and lists the rules that keep what goes
// through it from being sent in clear.
func (g *gen) tunnel(i int, guard state.Key) []state.FilterRule {
	owner := mark(state.Address(fmt.Sprint("network.t", i)))
	in := fmt.Sprint("tunnel", i)
	link := state.Link{Place: state.Netns(in), Name: "vxlan0", Mark: owner, Type: state.VXLAN, MTU: 1400 * g.pick(2), Up: true,
		Tunnel: state.Tunnel{Underlay: state.Host, VNI: uint32(2*i + g.pick(2)), Port: 4789}}
	var rules []state.FilterRule
	if g.pick(4) > 0 {
		link.Guard = guard
		rules = append(rules, state.FilterRule{Matches: []state.Match{state.VNIIs(link.Tunnel.VNI)}, Do: state.Statement{Verb: state.Drop}})
	}
	g.w.Add(state.Network{Mark: owner, Name: fmt.Sprint("t", i), Driver: "overlay"}, state.Namespace{Name: in, Mark: owner}, link)
	return rules
}

// wire adds a network of two endpoints that are the ends of one pair.
func (g *gen) wire(i, subnet int, sandboxes []string) {
	if len(sandboxes) < 2 {
		return
	}
	network := mark(state.Address(fmt.Sprint("network.n", i)))
	g.w.Add(state.Network{Mark: network, Name: fmt.Sprint("n", i), Driver: "ptp",
		Subnets: []state.Subnet{{CIDR: prefix("10.%d.0.0/31", subnet)}}})
	ends := sandboxes[:2]
	if g.maybe() {
		ends = sandboxes[len(sandboxes)-2:]
	}
	inner := fmt.Sprint("eth", i)
	var sb, ns [2]string
	for j := range ends {
		fmt.Sscan(ends[j], &sb[j], &ns[j])
	}
	for j := range ends {
		owner := mark(state.Address(fmt.Sprint("endpoint.e", i, sb[j])))
		ip := prefix("10.%d.0.%d/31", subnet, j)
		in := state.Netns(ns[j])
		g.w.Add(
			state.Endpoint{Mark: owner, Name: fmt.Sprint("e", i, sb[j]), Network: network.Address, Sandbox: state.Address("sandbox." + sb[j]), IPv4: ip, Interface: inner},
			state.Claim{Network: network.Address, IP: ip.Addr(), Mark: owner},
			state.Link{Place: in, Name: inner, Mark: owner, Type: state.Veth, Up: true, Peer: state.End{Place: state.Netns(ns[1-j]), Name: inner}, Second: j == 1},
			state.IPAddress{Place: in, Link: inner, Prefix: ip, Mark: owner},
		)
	}
}

// damaged is the world after somebody else was there: things are gone, with all that goes
// with them, changed, or new.
func damaged(t *rapid.T, w state.World) state.World {
	s := newSim(w, state.World{})
	for i := range rapid.IntRange(0, 4).Draw(t, "damages") {
		keys := s.Keys()
		if len(keys) == 0 {
			break
		}
		k := rapid.SampledFrom(keys).Draw(t, "victim")
		switch o := s.World[k].(type) {
		case state.Link:
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				o.MTU = 9000
				s.Add(o)
			case 1:
				s.Add(state.IPAddress{Place: o.Place, Link: o.Name, Prefix: prefix("172.16.%d.1/24", i), Mark: o.Mark})
			default:
				s.take(k)
			}
		case state.Ruleset:
			delete(s.World, k)
		default:
			s.take(k)
		}
	}
	return s.World
}

func drawPair(t *rapid.T) (live, want state.World) {
	live = drawWorld(t)
	want = drawWorld(t)
	switch rapid.IntRange(0, 3).Draw(t, "shape") {
	case 0:
		live = state.World{}
	case 1:
		want = state.World{}
	case 2:
		want = live
	}
	return damaged(t, live), want
}

func diffIn(t *rapid.T, live, want state.World) *Plan {
	p, diags := Diff(live, want, opts())
	if diags.HasErrors() {
		t.Fatalf("%v", diags)
	}
	return p
}

// TestPlansWork: every op is valid when its turn comes, also when the ops of a wave are
// taken in another order, and at the end the world is the wanted one, as predicted.
func TestPlansWork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, want := drawPair(t)
		p := diffIn(t, live, want)
		s := newSim(live, want)
		if err := s.run(p.Ops); err != nil {
			t.Fatalf("%v\n%s", err, listing(p))
		}
		if left := Verify(s.World, want, opts()); len(left) > 0 {
			t.Fatalf("left: %v\n%s", left, listing(p))
		}
		if left := diffIn(t, s.World, want); !left.Empty() {
			t.Fatalf("the second plan is not empty:\n%s", listing(left))
		}
		predicted := Predict(live, p)
		if left := Verify(s.World, predicted, opts()); len(left) > 0 {
			t.Fatalf("not as predicted: %v\n%s", left, listing(p))
		}
		s = newSim(live, want)
		begin := 0
		for _, end := range p.Waves {
			wave := slices.Clone(p.Ops[begin:end])
			rand.Shuffle(len(wave), func(i, j int) { wave[i], wave[j] = wave[j], wave[i] })
			if err := s.run(wave); err != nil {
				t.Fatalf("within a wave: %v\n%s", err, listing(p))
			}
			begin = end
		}
	})
}

// TestRollback: after any number of ops there is a way back.
func TestRollback(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, want := drawPair(t)
		p := diffIn(t, live, want)
		if len(p.Ops) == 0 {
			return
		}
		n := rapid.IntRange(1, len(p.Ops)).Draw(t, "ops done")
		s := newSim(live, want)
		if err := s.run(p.Ops[:n]); err != nil {
			t.Fatal(err)
		}
		back, err := Restore(newSim(live, want).World, s.World) // as it was read
		if err != nil {
			t.Fatal(err)
		}
		s = s.clone(live)
		if err := s.run(back.Ops); err != nil {
			t.Fatalf("way back after %d ops: %v\n%s\nback:\n%s", n, err, listing(p), listing(back))
		}
		if left := Verify(s.World, live, opts()); len(left) > 0 {
			t.Fatalf("left after the way back: %v", left)
		}
	})
}

// TestCreationsFirst: what merely goes, goes after all that is made.
func TestDeletionsLast(t *testing.T) {
	live := newWorld().network("old", 1).sandbox("a", "").endpoint("a", "old", "a", 2)
	want := newWorld().network("new", 2).sandbox("b", "").endpoint("b", "new", "b", 2)
	p := mustDiff(t, live.World, want.World, opts())
	seen := false
	for _, op := range p.Ops {
		seen = seen || op.Action == state.Delete
		if seen && op.Action != state.Delete {
			t.Fatalf("%s %s comes after a deletion", op.Action, op.Key)
		}
	}
}

// listing is a plan for the log of a failure.
func listing(p *Plan) string {
	text, begin := "", 0
	for i, end := range p.Waves {
		for _, op := range p.Ops[begin:end] {
			text += fmt.Sprintf("%d %s %s", i, op.Action, op.Key)
			for _, o := range op.Along {
				text += fmt.Sprintf(" +%s", o.Key())
			}
			text += "\n"
		}
		begin = end
	}
	return text
}
