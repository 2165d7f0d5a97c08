package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

const stack = "shop"

// bench is a host with a kernel of the stack on it.
type bench struct {
	*kerneltest.Host
	t testing.TB
	k *Kernel
}

func newBench(t testing.TB) *bench {
	b := &bench{Host: kerneltest.NewHost(t), t: t}
	b.k = b.open(stack)
	return b
}

// open looks at the host on behalf of a stack.
func (b *bench) open(stack string) *Kernel {
	b.t.Helper()
	k, err := Open(Config{Stack: stack})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { k.Close() })
	return k
}

func owner(block string) state.Owner { return state.Owner{Stack: stack, Address: state.Address(block)} }

// live reads the kernel with the settings in like.
func (b *bench) live(like ...state.World) state.World {
	b.t.Helper()
	live, err := b.k.Snapshot(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.k.ReadSysctls(context.Background(), live.World, like...); err != nil {
		b.t.Fatal(err)
	}
	return live.World
}

// apply runs one wave and expects every op to succeed.
func (b *bench) apply(ops ...state.Op) {
	b.t.Helper()
	if err := b.try(ops...); err != nil {
		b.t.Fatal(err)
	}
}

// try runs one wave.
func (b *bench) try(ops ...state.Op) error {
	b.t.Helper()
	told := map[int]bool{}
	err := b.k.Apply(context.Background(), ops, func(i int, err error) {
		if told[i] {
			b.t.Errorf("op %d was reported twice", i)
		}
		told[i] = true
	})
	if err == nil && len(told) != len(ops) {
		b.t.Errorf("of %d ops, %d were reported", len(ops), len(told))
	}
	return err
}

func create(objects ...state.Object) (ops []state.Op) {
	for _, o := range objects {
		op := state.Op{Action: state.Create, Key: o.Key(), After: o}
		if l, ok := o.(state.Link); ok && l.Type == state.Veth {
			op.Along = []state.Object{otherEnd(l)}
		}
		ops = append(ops, op)
	}
	return ops
}

func remove(objects ...state.Object) (ops []state.Op) {
	for _, o := range objects {
		ops = append(ops, state.Op{Action: state.Delete, Key: o.Key(), Before: o})
	}
	return ops
}

func update(before, after state.Object) state.Op {
	return state.Op{Action: state.Update, Key: after.Key(), Before: before, After: after, Delta: state.Compare(after, before)}
}

// otherEnd is the second end of a veth pair of the tests: each pair gets it by the same rule.
func otherEnd(l state.Link) state.Link {
	mac := l.MAC
	mac[5] ^= 0x80
	return state.Link{
		Place: l.Peer.Place, Name: l.Peer.Name, Mark: l.Mark, Type: state.Veth, MTU: l.MTU, MAC: mac, Up: l.Up,
		Peer: state.End{Place: l.Place, Name: l.Name}, Second: true,
	}
}

// same expects the live world to hold the objects as wanted.
func (b *bench) same(objects ...state.Object) {
	b.t.Helper()
	want := state.World{}
	want.Add(objects...)
	live := b.live(want)
	for _, o := range objects {
		have, ok := live[o.Key()]
		if !ok {
			b.t.Errorf("%s is missing", o.Key())
			continue
		}
		if d := state.Compare(o, have); !d.Same() {
			b.t.Errorf("%s differs: %+v", o.Key(), d.Fields)
		}
	}
}

// gone expects nothing with these keys.
func (b *bench) gone(objects ...state.Object) {
	b.t.Helper()
	live := b.live()
	for _, o := range objects {
		if have, ok := live[o.Key()]; ok {
			b.t.Errorf("%s is still there: %+v", o.Key(), have)
		}
	}
}

// shows expects the words in what a program says of the host.
func (b *bench) shows(command string, words ...string) {
	b.t.Helper()
	out := b.Sh(command)
	for _, w := range words {
		if !strings.Contains(out, w) {
			b.t.Errorf("%s does not show %q:\n%s", command, w, out)
		}
	}
}

func mac(n int) state.MAC {
	return state.MAC{0x02, 0x42, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }

func space(name string) state.Namespace {
	return state.Namespace{Name: name, Mark: owner("sandbox." + name)}
}

func bridge(name string) state.Link {
	return state.Link{Place: state.Host, Name: name, Mark: owner("network." + name), Type: state.Bridge, MTU: 1500, MAC: mac(1), Up: true}
}

// port is the outer end of a veth pair from the bridge into the namespace.
func port(br, ns string, n int) state.Link {
	return state.Link{
		Place: state.Host, Name: fmt.Sprintf("veth%d", n), Mark: owner("endpoint." + ns), Type: state.Veth, MTU: 1500, MAC: mac(n << 8),
		Up: true, NoIPv6: true, Master: br, Peer: state.End{Place: state.Netns(ns), Name: "eth0"},
	}
}

func TestQuickstart(t *testing.T) {
	b := newBench(t)
	ns, br, p := space("a"), bridge("br0"), port("br0", "a", 1)
	inner := state.Netns("a")
	addr4 := state.IPAddress{Place: inner, Link: "eth0", Prefix: pfx("10.1.0.2/24"), Mark: owner("endpoint.a")}
	addr6 := state.IPAddress{Place: inner, Link: "eth0", Prefix: pfx("fd00::2/64"), Mark: owner("endpoint.a")}
	gate4 := state.IPAddress{Place: state.Host, Link: "br0", Prefix: pfx("10.1.0.1/24"), Mark: owner("network.br0")}
	gate6 := state.IPAddress{Place: state.Host, Link: "br0", Prefix: pfx("fd00::1/64"), Mark: owner("network.br0")}
	r4 := state.NewRoute(state.Route{Place: inner, Dst: pfx("0.0.0.0/0"), Via: ip("10.1.0.1"), Dev: "eth0", Mark: owner("endpoint.a")})
	r6 := state.NewRoute(state.Route{Place: inner, Dst: pfx("::/0"), Via: ip("fd00::1"), Dev: "eth0", Mark: owner("endpoint.a")})
	hosts := state.File{Place: inner, Name: "hosts", Content: "# cnm:shop\n127.0.0.1 localhost\n", Mark: owner("sandbox.a")}

	waves := [][]state.Op{
		create(ns, br), create(p, gate4, gate6), create(addr4, addr6), create(r4, r6), create(hosts),
	}
	for range 2 { // twice is once
		for _, wave := range waves {
			b.apply(wave...)
		}
		b.same(ns, br, p, otherEnd(p), addr4, addr6, gate4, gate6, r4, r6, hosts)
	}
	b.shows("ip netns", "a")
	b.shows("ip -n a -d link show eth0", "UP", "alias cnm:shop:endpoint.a", "veth")
	b.shows("ip -d link show br0", "UP", "forward_delay 0", "stp_state 0")
	b.shows("ip netns exec a cat /etc/hosts", "localhost")
	b.shows("ip netns exec a ping -c1 -W2 10.1.0.1", "1 received")
	b.shows("ip netns exec a ping -c1 -W2 fd00::1", "1 received")

	b.apply(remove(hosts)...)
	drop := remove(ns)
	drop[0].Along = []state.Object{p, otherEnd(p), addr4, addr6, r4, r6}
	b.apply(drop...)
	b.apply(remove(br)...)
	b.gone(ns, br, p, hosts)
}
