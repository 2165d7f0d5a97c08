package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/state"
)

// drawCluster is a random cluster of at most three hosts, two overlays and a bridge, as
// host a sees it. Names and addresses come from short lists, so that two of them share
// blocks and the way from one to the other is mostly in place.
func drawCluster(r *rand.Rand) *drivertest.Records {
	one := func(options ...string) string { return options[r.IntN(len(options))] }
	maybe := func() bool { return r.IntN(2) == 0 }
	vteps := [][]string{{"10.99.0.10", "10.99.0.11", "10.99.0.12"}, {"10.99.0.20", "10.99.0.11", "10.99.0.13"}, {"2001:db8::10", "2001:db8::11", "2001:db8::12"}}
	c := records().Cluster(vteps[r.IntN(len(vteps))]...)
	c.Hosts[r.IntN(3)].MTU = []int{0, 1400, 9000}[r.IntN(3)]
	for i := range 1 + r.IntN(2) {
		subnets := [][]string{{"10.%d.0.0/24"}, {"10.%d.0.0/24", "fd00:%d::/64"}, {"10.%d.0.0/24", "10.%d.1.0/24"}, {"fd00:%d::/64"}}[r.IntN(4)]
		var cidrs []string
		for _, s := range subnets {
			cidrs = append(cidrs, fmt.Sprintf(s, i+1))
		}
		c.Network(fmt.Sprintf("o%d", i), "overlay", cidrs, one("port = 4789", "port = 4790"), one("checksum_offload = true", "checksum_offload = false")).
			Change(func(n *state.Network) {
				n.Internal = true
				if maybe() {
					n.VNIs = []uint32{uint32(300 + 10*r.IntN(2) + 100*i), uint32(301 + 10*r.IntN(2) + 100*i)}
				}
				if maybe() {
					n.Subnets[0].Gateway = netip.PrefixFrom(n.Subnets[0].CIDR.Addr().Next(), 0).Addr().Next()
				}
			})
	}
	if maybe() {
		c.Network("front", "bridge", []string{"172.20.0.0/24"}, one("icc = true", "icc = false"))
	}
	networks := c.Networks
	for i := range 1 + r.IntN(5) {
		name, host := fmt.Sprintf("s%d", i), one("a", "a", "b", "c")
		c.Sandbox(name, on(host))
		for j, n := range networks {
			if maybe() {
				c.Attach(n.Name, name, func(e *state.Endpoint) {
					e.MAC = state.MAC{2, 0, 0, byte(j), byte(r.IntN(2)), byte(i)}
					e.HostInterface = fmt.Sprintf("veth%d%d", j, i)
					for k, s := range n.Subnets { // the second of a family as often as the first
						ip := s.CIDR.Addr().As16()
						ip[15] = byte(20 + 10*r.IntN(2) + i)
						at := netip.PrefixFrom(netip.AddrFrom16(ip).Unmap(), s.CIDR.Bits())
						switch {
						case at.Addr().Is6():
							e.IPv6 = at
						case k == 0 || maybe():
							e.IPv4 = at
						}
					}
				})
			}
		}
	}
	return c
}

// TestRandomClusters: whatever a host carries, it can be made to carry anything else, and
// nothing at all: each time nothing is left to do.
func TestRandomClusters(t *testing.T) {
	tries := 25
	if testing.Short() {
		tries = 8
	}
	m := newMachine(t)
	for seed := range tries {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		m.become(m.world(drawCluster(r)))
		m.become(m.world(drawCluster(r)))
		if seed%3 == 0 {
			m.clear()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	m.clear()
	m.Sh("sysctl -qw net.ipv4.ip_forward=0")
}

// TestCutShort: a run that ends anywhere, on the way in or out, leaves what the next one
// brings to its end.
func TestCutShort(t *testing.T) {
	m := newMachine(t)
	want := m.world(overlaySamples()["overlay-subnets"])
	step := 3
	if testing.Short() {
		step = 11
	}
	for _, way := range []state.World{want, {}} {
		from := want
		if len(way) > 0 {
			from = state.World{}
		}
		for cut := 1; ; cut += step {
			m.become(from)
			if !m.cutShort(way, cut) {
				break
			}
			m.become(way)
			if t.Failed() {
				t.Fatalf("after %d ops", cut)
			}
		}
	}
	m.clear()
}

// cutShort carries out the first ops of the way to a world, and forgets all about it. It
// reports whether there were more.
func (m *machine) cutShort(want state.World, ops int) bool {
	m.t.Helper()
	p := m.plan(want)
	from := 0
	for _, to := range p.Waves {
		to := min(to, ops)
		if err := m.k.Apply(context.Background(), p.Ops[from:to], func(int, error) {}); err != nil {
			m.t.Fatal(err)
		}
		if from = to; to == ops {
			break
		}
	}
	if err := m.k.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.open()
	return ops < len(p.Ops)
}
