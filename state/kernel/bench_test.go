package kernel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// topology is one bridge network with n sandboxes, each with a dual-stack endpoint, default
// routes and a hosts file that names all the others.
type topology struct{ spaces, links, addresses, routes, files []state.Object }

func newTopology(n int) *topology {
	t := &topology{}
	base4, base6 := ip("10.64.0.1"), ip("fd00:64::1")
	names := make([]string, n)
	addr4, addr6 := make([]netip.Addr, n), make([]netip.Addr, n)
	a4, a6 := base4, base6
	for i := range n {
		a4, a6 = a4.Next(), a6.Next()
		names[i], addr4[i], addr6[i] = fmt.Sprintf("shop-w%d", i), a4, a6
	}
	var hosts strings.Builder
	hosts.WriteString("# cnm:shop\n127.0.0.1 localhost\n")
	for i, name := range names {
		fmt.Fprintf(&hosts, "%s %s %s.front\n%s %s %s.front\n", addr4[i], name, name, addr6[i], name, name)
	}
	for i, name := range names {
		place := state.Netns(name)
		mark := owner(fmt.Sprintf("endpoint.web[\"w%d\"]", i))
		p := port("br0", name, i+1)
		p.Mark = mark
		t.spaces = append(t.spaces, state.Namespace{Name: name, Mark: owner(fmt.Sprintf("sandbox.web[\"w%d\"]", i))})
		t.links = append(t.links, p)
		t.addresses = append(t.addresses,
			state.IPAddress{Place: place, Link: "eth0", Prefix: netip.PrefixFrom(addr4[i], 16), Mark: mark},
			state.IPAddress{Place: place, Link: "eth0", Prefix: netip.PrefixFrom(addr6[i], 64), Mark: mark})
		for dst, via := range map[string]netip.Addr{"0.0.0.0/0": base4, "::/0": base6} {
			t.routes = append(t.routes, state.NewRoute(state.Route{Place: place, Dst: pfx(dst), Via: via, Dev: "eth0", Mark: mark}))
		}
		t.files = append(t.files, state.File{Place: place, Name: "hosts", Content: hosts.String(), Mark: owner(fmt.Sprintf("sandbox.web[\"w%d\"]", i))})
	}
	t.addresses = append(t.addresses,
		state.IPAddress{Place: state.Host, Link: "br0", Prefix: netip.PrefixFrom(base4, 16), Mark: owner("network.br0")},
		state.IPAddress{Place: state.Host, Link: "br0", Prefix: netip.PrefixFrom(base6, 64), Mark: owner("network.br0")})
	return t
}

func (t *topology) objects() (all []state.Object) {
	for _, part := range [][]state.Object{t.spaces, t.links, t.addresses, t.routes, t.files} {
		all = append(all, part...)
	}
	return all
}

// destroy lists the deletions of the namespaces with what goes along.
func (t *topology) destroy() []state.Op {
	ops := remove(t.spaces...)
	for i := range ops {
		p := t.links[i].(state.Link)
		ops[i].Along = []state.Object{p, otherEnd(p)}
	}
	return ops
}

func BenchmarkWorkload(b *testing.B) {
	for _, n := range []int{100, 300, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchWorkload(b, n) })
	}
}

// cpu is what the process has used of the processors so far, which tells more than the
// clock on a busy machine.
func cpu() time.Duration {
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func benchWorkload(tb *testing.B, n int) {
	b := newBench(tb)
	t := newTopology(n)
	br := bridge("br0")
	times, cpus := map[string]time.Duration{}, map[string]time.Duration{}
	timed := func(what string, do func()) {
		start, used := time.Now(), cpu()
		do()
		times[what] += time.Since(start)
		cpus[what] += cpu() - used
	}
	for tb.Loop() {
		timed("1-spaces", func() { b.apply(create(append(t.spaces, br)...)...) })
		timed("2-links", func() { b.apply(create(t.links...)...) })
		timed("3-addresses", func() { b.apply(create(t.addresses...)...) })
		timed("4-routes", func() { b.apply(create(t.routes...)...) })
		timed("5-files", func() { b.apply(create(t.files...)...) })
		var live state.World
		timed("6-snapshot", func() { live = b.live() })
		timed("7-compare", func() {
			for _, o := range t.objects() {
				if have := live[o.Key()]; have == nil || !state.Compare(o, have).Same() {
					tb.Fatalf("%s is %+v", o.Key(), have)
				}
			}
		})
		timed("8-unlink", func() { b.apply(remove(t.files...)...) })
		timed("8-unmount", func() { b.apply(t.destroy()...) })
		timed("9-bridge", func() { b.apply(remove(br)...) })
	}
	for what, d := range times {
		tb.ReportMetric(d.Seconds()*1000/float64(tb.N), what+"-ms")
		tb.ReportMetric(cpus[what].Seconds()*1000/float64(tb.N), what+"-cpu-ms")
	}
}

func BenchmarkSnapshot(tb *testing.B) {
	for _, n := range []int{100, 1000} {
		tb.Run(fmt.Sprint(n), func(tb *testing.B) { benchSnapshot(tb, n) })
	}
}

// benchSnapshot reads a world at rest: its IPv6 neighbors have stopped to announce themselves.
func benchSnapshot(tb *testing.B, n int) {
	b := newBench(tb)
	t, br := newTopology(n), bridge("br0")
	for _, wave := range [][]state.Object{append(t.spaces, br), t.links, t.addresses, t.routes, t.files} {
		b.apply(create(wave...)...)
	}
	time.Sleep(time.Duration(n) * 15 * time.Millisecond)
	used := cpu()
	tb.ResetTimer()
	for tb.Loop() {
		b.live()
	}
	tb.StopTimer()
	tb.ReportMetric((cpu()-used).Seconds()*1e6/float64(tb.N)/float64(n), "cpu-µs/sandbox")
	b.apply(remove(t.files...)...)
	b.apply(t.destroy()...)
	b.apply(remove(br)...)
}
