package kernel

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// overlay is a namespace with a bridge and a tunnel that sends from the host.
type overlay struct {
	ns         state.Namespace
	br, tunnel state.Link
}

func newOverlay(name string, vni uint32) overlay {
	o := overlay{ns: state.Namespace{Name: name, Mark: owner("network." + name)}, br: bridge("br0")}
	o.br.Place, o.br.MTU, o.br.Mark = state.Netns(name), 1450, o.ns.Mark
	o.tunnel = state.Link{
		Place: o.br.Place, Name: "vxlan0", Mark: o.ns.Mark, Type: state.VXLAN, MTU: 1450, MAC: mac(2), Up: true, NoIPv6: true, Master: "br0", Quiet: true,
		Tunnel: state.Tunnel{Underlay: state.Host, VNI: vni, Port: state.VXLANPort, Local: ip("10.99.0.10"), Checksums: true},
	}
	return o
}

func (o overlay) make(b *bench) {
	b.t.Helper()
	b.apply(create(o.ns)...)
	b.apply(create(o.br)...)
	b.apply(create(o.tunnel)...)
	b.same(o.ns, o.br, o.tunnel)
}

// drop deletes the namespace with all that is in it.
func (o overlay) drop(b *bench) {
	b.t.Helper()
	ops := remove(o.ns)
	ops[0].Along = []state.Object{o.br, o.tunnel}
	b.apply(ops...)
	b.gone(o.ns, o.br, o.tunnel)
}

func (o overlay) fdb(n int, vtep string) state.FDB {
	return state.FDB{Place: o.br.Place, Link: "vxlan0", MAC: mac(n), VTEP: ip(vtep), Bridged: true, Mark: o.ns.Mark}
}

func TestTunnel(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	for range 2 { // twice is once, and the VNI is free as soon as the namespace is gone
		o.make(b)
		o.make(b)
		b.shows("ip -n ov -d link show vxlan0", "vxlan id 256", "local 10.99.0.10", "dstport 4789", "nolearning", "mtu 1450",
			"master br0", "learning off", "flood off", "mcast_flood off", "neigh_suppress on", "alias cnm:shop:network.ov", ",UP,")
		// The device is in one namespace, its socket in another.
		b.shows("cat /proc/net/udp", ":12B5")
		if out := b.Sh("ip netns exec ov cat /proc/net/udp"); strings.Contains(out, ":12B5") {
			t.Errorf("the tunnel sends from its own namespace:\n%s", out)
		}
		o.drop(b)
	}
}

func TestTunnelUpdates(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	o.make(b)
	f := o.fdb(9, "10.99.0.11")
	b.apply(create(f)...)
	index := b.Sh("cat /sys/class/net/lo/ifindex; ip -n ov -o link show vxlan0 | cut -d: -f1")
	now := o.tunnel
	for name, change := range map[string]func(l *state.Link){
		"local":     func(l *state.Link) { l.Tunnel.Local = ip("10.99.0.77") },
		"checksums": func(l *state.Link) { l.Tunnel.Checksums = false },
		"mtu":       func(l *state.Link) { l.MTU = 1400 },
		"quiet":     func(l *state.Link) { l.Quiet = false },
	} {
		next := now
		change(&next)
		d := state.Compare(next, now)
		if d.Replace || len(d.Fields) != 1 || d.Fields[0].Name != name {
			t.Errorf("%s differs as %+v", name, d)
		}
		b.apply(update(now, next))
		b.same(next, f)
		b.apply(update(next, o.tunnel))
		b.same(o.tunnel, f)
	}
	if again := b.Sh("cat /sys/class/net/lo/ifindex; ip -n ov -o link show vxlan0 | cut -d: -f1"); again != index {
		t.Error("the device was made anew")
	}
	b.Sh("ip -n ov link set vxlan0 type vxlan learning; bridge -n ov link set dev vxlan0 flood on")
	if d := state.Compare(o.tunnel, b.live()[o.tunnel.Key()]); len(d.Fields) != 2 {
		t.Errorf("changed by others, it differs by %+v", d.Fields)
	}
	b.apply(update(b.live()[o.tunnel.Key()], o.tunnel))
	b.same(o.tunnel)
	o.drop(b)
}

// What a device cannot change makes it another one.
func TestTunnelIsReplaced(t *testing.T) {
	o := newOverlay("ov", 256)
	for name, change := range map[string]func(t *state.Tunnel){
		"vni":           func(t *state.Tunnel) { t.VNI = 257 },
		"port":          func(t *state.Tunnel) { t.Port = 4790 },
		"underlay":      func(t *state.Tunnel) { t.Underlay = o.br.Place },
		"ipv6_underlay": func(t *state.Tunnel) { t.Local = ip("2001:db8::10") },
	} {
		other := o.tunnel
		change(&other.Tunnel)
		if d := state.Compare(other, o.tunnel); !d.Replace || d.Fields[0].Name != name {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// A tunnel that somebody made within its own namespace reaches nobody.
func TestTunnelFromElsewhere(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	b.apply(create(o.ns)...)
	b.apply(create(o.br)...)
	b.Sh("ip -n ov link add vxlan0 type vxlan id 256 local 10.99.0.10 dstport 4789 nolearning; ip -n ov link set vxlan0 alias cnm:shop:network.ov")
	l, _ := b.live()[o.tunnel.Key()].(state.Link)
	if l.Tunnel.Underlay != state.Netns("ov") || !state.Compare(o.tunnel, l).Replace {
		t.Errorf("it is taken for %+v", l)
	}
	o.drop(b)
}

func TestTunnelOverIPv6(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	o.tunnel.Tunnel.Local = ip("2001:db8::10")
	o.make(b)
	f := o.fdb(9, "2001:db8::11")
	b.life(f)
	o.drop(b)
}

// A VNI that another device has is waited for a little, and then refused in words.
func TestVNIInUse(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	b.apply(create(o.ns)...)
	b.apply(create(o.br)...)
	b.Sh("ip link add other type vxlan id 256 dstport 4789")
	err := b.try(create(o.tunnel)...)
	if err == nil || !strings.Contains(err.Error(), "VNI 256") {
		t.Errorf("the error is %v", err)
	}
	time.AfterFunc(200*time.Millisecond, func() { _ = b.k.reader(func(c *conn) error { return deleteOther(c) }) })
	b.apply(create(o.tunnel)...)
	b.same(o.tunnel)
	o.drop(b)
}

func deleteOther(c *conn) error {
	m := &batch{}
	m.request(unix.RTM_DELLINK, 0, ifinfo(0, 0, 0))
	m.text(unix.IFLA_IFNAME, "other")
	m.end()
	return c.one(context.Background(), m)
}

func TestForwardingEntries(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	o.make(b)
	f, g := o.fdb(9, "10.99.0.11"), o.fdb(10, "10.99.0.12")
	b.life(f, g)
	b.apply(create(f)...)
	moved := o.fdb(9, "10.99.0.12")
	b.apply(update(f, moved))
	b.same(moved)
	b.shows("bridge -n ov fdb show dev vxlan0", mac(9).String()+" sticky master br0 static", mac(9).String()+" dst 10.99.0.12 ")
	if strings.Contains(b.Sh("bridge -n ov fdb show dev vxlan0"), "10.99.0.11") {
		t.Error("the old end is still there")
	}
	// Half an entry is no entry.
	b.Sh("bridge -n ov fdb del " + mac(9).String() + " dev vxlan0 master")
	half, _ := b.live()[moved.Key()].(state.FDB)
	if half.Bridged || half.VTEP != moved.VTEP {
		t.Errorf("without the bridge's entry it is %+v", half)
	}
	b.apply(remove(half)...)
	b.gone(half)
	// What was learned is nobody's.
	b.Sh("bridge -n ov fdb add 02:00:00:00:00:77 dev vxlan0 dst 10.99.0.13 self dynamic")
	learned := state.FDBKey(f.Place, "vxlan0", state.MAC{2, 0, 0, 0, 0, 0x77})
	if b.live()[learned] != nil {
		t.Error("what the kernel has learned is taken for ours")
	}
	o.drop(b)
}

// The other end of a pair goes with its namespace, and at once, wherever it is.
func TestPortOfADyingNamespace(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	o.make(b)
	box := space("a")
	p := port("br0", "a", 1)
	p.Place = o.br.Place
	b.apply(create(box)...)
	b.apply(create(p)...)
	b.same(p, otherEnd(p))
	ops := remove(box)
	ops[0].Along = []state.Object{otherEnd(p), p}
	b.apply(ops...)
	b.gone(p)
	o.drop(b)
}

// peers are n remote endpoints.
func (o overlay) peers(n int) (entries, neighbors []state.Object) {
	at := ip("10.64.0.1")
	for i := range n {
		at = at.Next()
		entries = append(entries, state.FDB{Place: o.br.Place, Link: "vxlan0", MAC: mac(i + 100), Bridged: true,
			VTEP: netip.AddrFrom4([4]byte{10, 99, 0, byte(11 + i%10)}), Mark: o.ns.Mark})
		neighbors = append(neighbors, state.Neighbor{Place: o.br.Place, Link: "br0", IP: at, MAC: mac(i + 100), Mark: o.ns.Mark})
	}
	return entries, neighbors
}

func BenchmarkPeers(tb *testing.B) {
	b := newBench(tb)
	o := newOverlay("ov", 256)
	o.make(b)
	entries, neighbors := o.peers(10000)
	all := append(append([]state.Object{}, entries...), neighbors...)
	var made, read, gone time.Duration
	for tb.Loop() {
		start := time.Now()
		b.apply(create(all...)...)
		made += time.Since(start)
		start = time.Now()
		live := b.live()
		read += time.Since(start)
		for _, o := range all {
			if have := live[o.Key()]; have == nil || !state.Compare(o, have).Same() {
				tb.Fatalf("%s is %+v", o.Key(), have)
			}
		}
		start = time.Now()
		b.apply(remove(all...)...)
		gone += time.Since(start)
	}
	tb.ReportMetric(made.Seconds()*1000/float64(tb.N), "made-ms")
	tb.ReportMetric(read.Seconds()*1000/float64(tb.N), "read-ms")
	tb.ReportMetric(gone.Seconds()*1000/float64(tb.N), "gone-ms")
	o.drop(b)
}

// Numbers that others have are known, as far as they are in our way.
func TestForeignVNIs(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	o.make(b)
	b.Sh(`ip link add here type vxlan id 300 dstport 4789
ip netns add other; ip link add moved type vxlan id 301 dstport 4789; ip link set moved netns other
ip -n other link add own type vxlan id 302 dstport 4789; ip link set lo mtu 7000`)
	live, err := b.k.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := live.VNIs; len(v) != 2 || !v[300] || !v[301] || live.MTUs["lo"] != 7000 {
		t.Errorf("VNIs are %v, MTUs %v", v, live.MTUs)
	}
	b.Sh("ip link del here; ip netns del other; ip link set lo mtu 65536")
	o.drop(b)
}

// A UDP port that another program has is an error that says so.
func TestTunnelPortInUse(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	socket, err := net.ListenPacket("udp4", ":4789")
	if err != nil {
		t.Fatal(err)
	}
	b.apply(create(o.ns)...)
	b.apply(create(o.br)...)
	if err := b.try(create(o.tunnel)...); err == nil || !strings.Contains(err.Error(), "UDP port") {
		t.Errorf("the error is %v", err)
	}
	socket.Close()
	half := b.live()[o.tunnel.Key()].(state.Link)
	if !half.HalfMade {
		t.Errorf("what is left is %+v", half)
	}
	b.apply(update(half, o.tunnel)) // the next plan finishes it
	b.same(o.tunnel)
	o.drop(b)
}
