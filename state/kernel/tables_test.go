package kernel

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// cable makes a namespace x with eth0 in it, and the other end on the host.
func (b *bench) cable() (x state.Namespace, p state.Link) {
	b.t.Helper()
	x = space("x")
	p = pair(state.Host, "v0", state.Netns("x"), "eth0", 1)
	p.MTU = 1500
	b.apply(create(x)...)
	b.apply(create(p)...)
	b.t.Cleanup(func() {
		drop := remove(x)
		drop[0].Along = []state.Object{p}
		b.apply(drop...)
	})
	return x, p
}

// life takes objects through all that can happen to them.
func (b *bench) life(objects ...state.Object) {
	b.t.Helper()
	for range 2 {
		b.apply(create(objects...)...)
		b.same(objects...)
	}
	var again []state.Op
	for _, o := range objects {
		again = append(again, update(o, o))
	}
	b.apply(again...) // what a deletion has damaged is set again, damaged or not
	b.same(objects...)
	for range 2 {
		b.apply(remove(objects...)...)
		b.gone(objects...)
	}
}

func TestAddresses(t *testing.T) {
	b := newBench(t)
	b.cable()
	x := state.Netns("x")
	address := func(p state.Place, link, prefix string) state.Object {
		return state.IPAddress{Place: p, Link: link, Prefix: pfx(prefix), Mark: owner("endpoint.x")}
	}
	b.life(
		address(x, "eth0", "10.1.0.2/24"), address(x, "eth0", "10.1.0.3/24"), address(x, "eth0", "10.2.0.0/31"),
		address(x, "eth0", "fd00::2/64"), address(x, "eth0", "fe80::1/64"), address(x, "eth0", "fd01::/127"),
		address(x, "lo", "192.0.2.1/32"), address(x, "lo", "2001:db8::1/128"),
		address(state.Host, "v0", "10.1.0.1/24"),
	)
	a := address(x, "eth0", "fd00::2/64")
	b.apply(create(a)...)
	if out := b.Sh("ip -n x -6 address show dev eth0 to fd00::2"); strings.Contains(out, "tentative") {
		t.Errorf("the address has to be checked for duplicates:\n%s", out)
	}
	for _, o := range b.live() {
		if a, ok := o.(state.IPAddress); ok && a.Prefix != pfx("fd00::2/64") {
			t.Errorf("%s is the kernel's own", a.Key())
		}
	}
	err := b.try(create(address(x, "eth9", "10.9.0.1/24"))...)
	if err == nil || !strings.HasPrefix(err.Error(), "creating address 10.9.0.1/24 on eth9 in namespace x: looking up link eth9: ") {
		t.Errorf("an address on no link: %v", err)
	}
}

// What is lent to a foreign link bears our protocol number, and nothing else on it is ours.
func TestLoans(t *testing.T) {
	b := newBench(t)
	b.Sh("ip link add br9 type bridge; ip link set br9 up; ip addr add 10.9.0.9/24 dev br9; ip route add 10.8.0.0/16 via 10.9.0.8")
	us := state.Owner{Stack: stack}
	a := state.IPAddress{Place: state.Host, Link: "br9", Prefix: pfx("10.9.0.1/24"), Mark: us, Loan: true}
	a6 := state.IPAddress{Place: state.Host, Link: "br9", Prefix: pfx("fd09::1/64"), Mark: us, Loan: true}
	r := state.NewRoute(state.Route{Place: state.Host, Dst: pfx("10.7.0.0/16"), Via: ip("10.9.0.7"), Dev: "br9", Mark: us, Loan: true})
	r6 := state.NewRoute(state.Route{Place: state.Host, Dst: pfx("fd07::/64"), Via: ip("fd09::7"), Dev: "br9", Mark: us, Loan: true})
	drop := state.NewRoute(state.Route{Place: state.Host, Dst: pfx("10.6.0.0/16"), Type: state.Blackhole, Mark: us})
	rule := state.Rule{Place: state.Host, Priority: 500, From: pfx("10.9.0.0/24"), Table: 100, Mark: us}
	ours := []state.Object{a, a6, r, r6, drop, rule}
	b.apply(create(a, a6)...)
	b.apply(create(r, r6, drop, rule)...)
	b.same(ours...)
	for k, o := range b.live() {
		if _, foreign := o.(state.Foreign); !foreign && !contains(ours, k) {
			t.Errorf("%s is not ours", k)
		}
	}
	theirs, err := b.open("blog").Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for k, o := range theirs.World {
		if _, foreign := o.(state.Foreign); !foreign {
			t.Errorf("another stack takes %s for its own", k)
		}
	}

	kept := a
	kept.Mark = state.Owner{}
	b.apply(update(a, kept))
	if _, foreign := b.live()[a.Key()].(state.Foreign); !foreign {
		t.Errorf("%s is still ours", a.Key())
	}
	b.shows("ip address show dev br9", "10.9.0.1/24")
	b.apply(remove(r, r6, drop, rule, a6)...)
	b.gone(ours[1:]...)
	b.shows("ip address show dev br9", "10.9.0.9/24")
	b.shows("ip route", "10.8.0.0/16 via 10.9.0.8")
	b.Sh("ip link del br9")
}

func contains(objects []state.Object, k state.Key) bool {
	for _, o := range objects {
		if o.Key() == k {
			return true
		}
	}
	return false
}

func TestRoutes(t *testing.T) {
	b := newBench(t)
	b.cable()
	x := state.Netns("x")
	b.apply(create(
		state.IPAddress{Place: x, Link: "eth0", Prefix: pfx("10.1.0.2/24"), Mark: owner("endpoint.x")},
		state.IPAddress{Place: x, Link: "eth0", Prefix: pfx("fd00::2/64"), Mark: owner("endpoint.x")})...)
	route := func(r state.Route) state.Object {
		r.Place, r.Mark = x, owner("endpoint.x")
		return state.NewRoute(r)
	}
	routes := []state.Object{
		route(state.Route{Dst: pfx("0.0.0.0/0"), Via: ip("10.1.0.1"), Dev: "eth0"}),
		route(state.Route{Dst: pfx("::/0"), Via: ip("fd00::1"), Dev: "eth0"}),
		route(state.Route{Dst: pfx("0.0.0.0/0"), Via: ip("10.1.0.9"), Dev: "eth0", Metric: 50}),
		route(state.Route{Dst: pfx("::/0"), Via: ip("fd00::9"), Dev: "eth0", Metric: 50}),
		route(state.Route{Dst: pfx("10.5.0.0/16"), Dev: "eth0"}),
		route(state.Route{Dst: pfx("10.5.0.0/16"), Dev: "eth0", Table: 1000}),
		route(state.Route{Dst: pfx("fd05::/64"), Dev: "eth0", Table: 1000, Metric: 7}),
		route(state.Route{Dst: pfx("10.6.0.0/16"), Via: ip("192.0.2.9"), Dev: "eth0", OnLink: true}),
		route(state.Route{Dst: pfx("fd06::/64"), Via: ip("2001:db8::9"), Dev: "eth0", OnLink: true}),
		route(state.Route{Dst: pfx("10.7.0.0/16"), Via: ip("fd00::7"), Dev: "eth0"}),
		route(state.Route{Dst: pfx("10.8.0.0/16"), Dev: "eth0", Src: ip("10.1.0.2")}),
		route(state.Route{Dst: pfx("fd08::/64"), Dev: "eth0", Src: ip("fd00::2")}),
		route(state.Route{Dst: pfx("10.9.0.0/24"), Type: state.Blackhole}),
		route(state.Route{Dst: pfx("10.9.1.0/24"), Type: state.Unreachable}),
		route(state.Route{Dst: pfx("10.9.2.0/24"), Type: state.Prohibit}),
		route(state.Route{Dst: pfx("fd09::/64"), Type: state.Blackhole}),
		route(state.Route{Dst: pfx("fd09:1::/64"), Type: state.Unreachable}),
		route(state.Route{Dst: pfx("fd09:2::/64"), Type: state.Prohibit}),
		route(state.Route{Dst: pfx("10.9.3.3/32"), Via: ip("10.1.0.1"), Dev: "eth0"}),
	}
	b.life(routes...)

	err := b.try(create(route(state.Route{Dst: pfx("10.20.0.0/16"), Via: ip("198.51.100.1"), Dev: "eth0"}))...)
	if err == nil || !strings.Contains(err.Error(), "Nexthop has invalid gateway (network is unreachable): no address of the link covers the next hop") {
		t.Errorf("a next hop that nobody reaches: %v", err)
	}
}

// Whatever of a route may change does, in place, and leaves no second one.
func TestRouteReplaced(t *testing.T) {
	b := newBench(t)
	b.cable()
	x := state.Netns("x")
	for _, f := range []struct{ family, addr, dst, via1, via2, src string }{
		{"-4", "10.1.0.2/24", "10.9.0.0/16", "10.1.0.1", "10.1.0.3", "10.1.0.2"},
		{"-6", "fd00::2/64", "fd09::/64", "fd00::1", "fd00::3", "fd00::2"},
	} {
		b.apply(create(state.IPAddress{Place: x, Link: "eth0", Prefix: pfx(f.addr), Mark: owner("endpoint.x")})...)
		base := state.Route{Place: x, Dst: pfx(f.dst), Mark: owner("endpoint.x")}
		var last state.Object
		for i, edit := range []func(*state.Route){
			func(r *state.Route) { r.Via, r.Dev = ip(f.via1), "eth0" },
			func(r *state.Route) { r.Via, r.Dev = ip(f.via2), "eth0" },
			func(r *state.Route) { r.Via, r.Dev, r.Src = ip(f.via2), "eth0", ip(f.src) },
			func(r *state.Route) { r.Type = state.Blackhole },
			func(r *state.Route) { r.Dev = "eth0" },
			func(r *state.Route) { r.Type = state.Unreachable },
			func(r *state.Route) { r.Via, r.Dev, r.OnLink = ip(f.via1), "eth0", true },
		} {
			r := base
			edit(&r)
			next := state.Object(state.NewRoute(r))
			if last == nil {
				b.apply(create(next)...)
			} else {
				b.apply(update(last, next))
			}
			b.same(next)
			out := b.Sh("ip -n x " + f.family + " route show " + f.dst)
			if n := strings.Count(out, "\n"); n != 1 {
				t.Errorf("after change %d there are %d routes:\n%s", i, n, out)
			}
			last = next
		}
		b.apply(remove(last)...)
		b.gone(last)
	}
}

// Routes that somebody made by hand in a namespace of ours are seen, as drift.
func TestRoutesByHand(t *testing.T) {
	b := newBench(t)
	b.cable()
	b.Sh("ip -n x addr add 10.1.0.2/24 dev eth0; ip -n x route add 10.9.0.0/16 via 10.1.0.1; ip -n x route add 10.8.0.0/16 nexthop via 10.1.0.1 nexthop via 10.1.0.3; ip -n x rule add prio 99 from 10.0.0.0/8 table 7; ip -n x rule add prio 98 tos 8 table 7")
	live := b.live()
	for _, k := range []state.Key{
		{Kind: state.KindAddress, Place: "ns/x", Name: "eth0 10.1.0.2/24"},
		{Kind: state.KindRoute, Place: "ns/x", Name: "10.9.0.0/16"},
		{Kind: state.KindRoute, Place: "ns/x", Name: "10.8.0.0/16"},
		state.Rule{Place: "ns/x", Priority: 99, From: pfx("10.0.0.0/8"), Table: 7}.Key(),
	} {
		if live[k] == nil {
			t.Errorf("%s is not seen", k)
			continue
		}
		b.apply(remove(live[k])...)
	}
	b.shows("ip -n x rule", "98:")
	if out := b.Sh("ip -n x rule; ip -n x route; ip -n x addr show dev eth0"); strings.Contains(out, "10.") {
		t.Errorf("not all of it could be deleted:\n%s", out)
	}
}

func TestRules(t *testing.T) {
	b := newBench(t)
	b.cable()
	rule := func(r state.Rule) state.Object {
		r.Place, r.Mark = state.Netns("x"), owner("sandbox.x")
		return r
	}
	b.life(
		rule(state.Rule{Priority: 100, Table: 100}),
		rule(state.Rule{Priority: 100, Table: 100, IPv6: true}),
		rule(state.Rule{Priority: 101, From: pfx("10.0.0.0/8"), To: pfx("192.0.2.0/24"), Table: 1000}),
		rule(state.Rule{Priority: 101, From: pfx("fd00::/8"), To: pfx("2001:db8::/32"), Table: 1000, IPv6: true}),
		rule(state.Rule{Priority: 102, Iif: "eth0", Oif: "lo", Table: 254}),
		rule(state.Rule{Priority: 103, FwMark: 7, Table: 100}),
	)
	b.shows("ip -n x rule", "0:", "32766:", "32767:")
}

func TestNeighbors(t *testing.T) {
	b := newBench(t)
	b.cable()
	n := state.Neighbor{Place: state.Netns("x"), Link: "eth0", IP: ip("10.1.0.9"), MAC: mac(9), Mark: owner("sandbox.x")}
	n6 := n
	n6.IP = ip("fd00::9")
	b.life(n, n6)
	b.apply(create(n, n6)...)
	other := n
	other.MAC = mac(10)
	b.apply(update(n, other))
	b.same(other, n6)
	b.shows("ip -n x neighbor show 10.1.0.9", "PERMANENT", mac(10).String())
	b.Sh("ip -n x neighbor add 10.1.0.8 lladdr 02:00:00:00:00:08 dev eth0 nud reachable")
	if b.live()[state.Neighbor{Place: n.Place, Link: "eth0", IP: ip("10.1.0.8")}.Key()] != nil {
		t.Error("what the kernel has learned is taken for ours")
	}
}

// Changes while the kernel's tables are read interrupt dumps; no answer is ever partial.
func TestInterruptedDumps(t *testing.T) {
	b := newBench(t)
	var stay, blink []state.Object
	for i := range 60 {
		l := bridge("br" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		l.MAC, l.Up = mac(1000+i), false
		if i%2 == 0 {
			stay = append(stay, l)
		} else {
			blink = append(blink, l)
		}
	}
	b.apply(create(stay...)...)
	other := b.open(stack)
	var stop atomic.Bool
	done := make(chan error)
	go func() {
		var err error
		for !stop.Load() && err == nil {
			if err = other.Apply(context.Background(), create(blink...), func(int, error) {}); err == nil {
				err = other.Apply(context.Background(), remove(blink...), func(int, error) {})
			}
		}
		done <- err
	}()
	for start := time.Now(); time.Since(start) < 2*time.Second; {
		live, err := b.k.Snapshot(t.Context())
		if err != nil {
			t.Error(err)
			break
		}
		for _, o := range stay {
			if live.World[o.Key()] == nil {
				t.Errorf("%s was missed", o.Key())
			}
		}
	}
	stop.Store(true)
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.apply(remove(stay...)...)
}

func TestLiveFacts(t *testing.T) {
	b := newBench(t)
	b.cable()
	b.Sh("ip link add br9 type bridge; ip link set br9 up; ip addr add 10.9.0.9/24 dev br9; ip route add default via 10.9.0.1; ip addr add 10.77.0.1/24 dev v0")
	live, err := b.k.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, r := range live.HostRoutes {
		has[r.String()] = true
	}
	if !has["10.9.0.0/24"] || has["0.0.0.0/0"] || has["10.77.0.0/24"] {
		t.Errorf("host routes are %v", live.HostRoutes)
	}
	for _, name := range []string{"lo", "br9", "v0"} {
		if !live.Links[name] {
			t.Errorf("links are %v", live.Links)
		}
	}
	b.Sh("ip link del br9")
}

func TestParseNameservers(t *testing.T) {
	got := parseNameservers("# nameserver 9.9.9.9\nsearch example.org\nnameserver 192.0.2.1\n nameserver  2001:db8::1 \nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver")
	if len(got) != 3 || got[0] != ip("192.0.2.1") || got[1] != ip("2001:db8::1") || got[2] != ip("fe80::1%eth0") {
		t.Errorf("got %v", got)
	}
}
