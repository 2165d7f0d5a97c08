package planner

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"pgregory.net/rapid"
)

// drawTopology is a random valid topology: networks of all kinds with written and
// automatic subnets, endpoints with and without wishes.
func drawTopology(t *rapid.T) *draft {
	d := newDraft()
	for i := range rapid.IntRange(1, 6).Draw(t, "networks") {
		var subnets []state.Subnet
		for j := range rapid.IntRange(0, 2).Draw(t, "subnets") {
			s := subnet(fmt.Sprintf("10.%d.%d.0/%d", i, j, rapid.IntRange(25, 27).Draw(t, "bits")))
			if rapid.Bool().Draw(t, "reserved") {
				s.Reserved = map[string]netip.Addr{"it": s.CIDR.Addr().Next().Next()}
			}
			if rapid.Bool().Draw(t, "range") {
				s.Range = netip.PrefixFrom(s.CIDR.Addr(), s.CIDR.Bits()+1)
			}
			subnets = append(subnets, s)
		}
		n := d.network(fmt.Sprint("n", i), rapid.SampledFrom([]string{"bridge", "overlay"}).Draw(t, "driver"), subnets...)
		n.IPv6 = rapid.Bool().Draw(t, "ipv6")
		n.NoIPv4 = rapid.Bool().Draw(t, "noipv4")
		n.Prefix = rapid.SampledFrom([]string{"eth", "net"}).Draw(t, "prefix")
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "endpoints") {
		drawEndpoint(t, d, fmt.Sprintf("e[%d]", i), i)
	}
	return d
}

func drawEndpoint(t *rapid.T, d *draft, name string, i int) *spec.Endpoint {
	n := rapid.SampledFrom(d.Networks).Draw(t, "of")
	e := d.endpoint(name, n.Name, rapid.SampledFrom([]string{"", "s1", "s2", "s3"}).Draw(t, "sandbox"))
	if len(n.Subnets) > 0 && rapid.IntRange(0, 3).Draw(t, "wish") == 0 {
		last := n.Subnets[0].CIDR.Addr().As4()
		last[3] = byte(10 + i) // nobody else's wish
		e.IPv4 = netip.PrefixFrom(netip.AddrFrom4(last), 32)
	}
	return e
}

// copied is an unallocated draft again, to be allocated otherwise.
func (d *draft) copied() *draft {
	c := *d
	c.Networks, c.Sandboxes, c.Endpoints = nil, nil, nil
	for _, n := range d.Networks {
		m := *n
		m.Subnets = slices.Clone(n.Subnets)
		c.Networks = append(c.Networks, &m)
	}
	for _, s := range d.Sandboxes {
		r := *s
		c.Sandboxes = append(c.Sandboxes, &r)
	}
	for _, e := range d.Endpoints {
		f := *e
		c.Endpoints = append(c.Endpoints, &f)
	}
	return &c
}

// result is all that was chosen, by block.
func (d *draft) result() map[state.Address]string {
	out := map[state.Address]string{}
	for _, n := range d.Networks {
		out[n.Mark.Address] = fmt.Sprint(n.Device, " ", n.Subnets)
	}
	for _, e := range d.Endpoints {
		out[e.Mark.Address] = fmt.Sprint(e.IPv4, e.IPv6, e.MAC, e.Interface, " ", e.HostInterface)
	}
	return out
}

// recorded is the store after an apply.
func (d *draft) recorded() state.World {
	w := state.World{}
	for _, n := range d.Networks {
		w.Add(n.Network)
	}
	for _, e := range d.Endpoints {
		w.Add(e.Endpoint)
	}
	return w
}

// needRoom skips drafts in which a small subnet runs out, which is no error of ours.
func (d *draft) needRoom(t *rapid.T, held Held) {
	for _, text := range d.allocate(held) {
		if !strings.Contains(text, "No free address") {
			t.Fatal(text)
		}
		t.Skip("full")
	}
}

func TestAllocationsAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawTopology(t)
		wishes := d.copied()
		d.needRoom(t, Held{})
		checkSubnets(t, d)
		checkEndpoints(t, d)
		for i, e := range wishes.Endpoints {
			if e.IPv4.IsValid() && d.Endpoints[i].IPv4.Addr() != e.IPv4.Addr() {
				t.Errorf("%s asked for %s and got %s", e.Mark.Address, e.IPv4, d.Endpoints[i].IPv4)
			}
		}
	})
}

func checkSubnets(t *rapid.T, d *draft) {
	var all []netip.Prefix
	devices := map[string]bool{}
	for _, n := range d.Networks {
		v4, v6 := missing(n, testTraits()[n.Driver])
		if v4 || v6 || devices[n.Device] || len(n.Device) > maxLinkName {
			t.Errorf("%s: v4 missing %t, v6 missing %t, device %q", n.Mark.Address, v4, v6, n.Device)
		}
		devices[n.Device] = true
		for _, s := range n.Subnets {
			if !s.CIDR.Contains(s.Gateway) || (s.Range.IsValid() && !s.Range.Contains(s.Gateway)) {
				t.Errorf("%s: gateway %s of %s", n.Mark.Address, s.Gateway, s)
			}
			for _, other := range all {
				if s.CIDR.Overlaps(other) {
					t.Errorf("%s overlaps %s", s.CIDR, other)
				}
			}
			all = append(all, s.CIDR)
		}
	}
}

func checkEndpoints(t *rapid.T, d *draft) {
	seen := map[string]state.Address{}
	unique := func(parts ...any) {
		text := fmt.Sprint(parts...)
		if other, taken := seen[text]; taken {
			t.Errorf("%s is had by %s and %s", text, other, parts[0])
		}
		seen[text] = parts[0].(state.Address)
	}
	for _, n := range d.Networks {
		for _, s := range n.Subnets {
			unique(n.Mark.Address, s.Gateway)
			for _, ip := range s.Reserved {
				unique(n.Mark.Address, ip)
			}
		}
	}
	for _, e := range d.Endpoints {
		var n *spec.Network
		for _, other := range d.Networks {
			if other.Mark.Address == e.Network {
				n = other
			}
		}
		for _, f := range families() {
			p := *f.of(e)
			has := slices.ContainsFunc(n.Subnets, func(s state.Subnet) bool { return s.CIDR.Addr().Is4() == f.is4 })
			if has != p.IsValid() {
				t.Errorf("%s has %s address %v, its network has subnets: %t", e.Mark.Address, f.name, p, has)
			}
			if p.IsValid() {
				unique(e.Network, p.Addr())
				if !slices.ContainsFunc(n.Subnets, func(s state.Subnet) bool { return s.CIDR == p.Masked() }) {
					t.Errorf("%s is in no subnet of %s", p, e.Network)
				}
			}
		}
		unique(e.Network, e.MAC)
		if e.Sandbox != "" {
			unique(e.Sandbox, e.Interface)
			unique(state.Address("host"), e.HostInterface)
		}
	}
}

func TestAllocationDoesNotDependOnTheOrderOfBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawTopology(t)
		shuffled := d.copied()
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(shuffled.Networks), func(i, j int) {
			shuffled.Networks[i], shuffled.Networks[j] = shuffled.Networks[j], shuffled.Networks[i]
		})
		r.Shuffle(len(shuffled.Endpoints), func(i, j int) {
			shuffled.Endpoints[i], shuffled.Endpoints[j] = shuffled.Endpoints[j], shuffled.Endpoints[i]
		})
		r.Shuffle(len(shuffled.Sandboxes), func(i, j int) {
			shuffled.Sandboxes[i], shuffled.Sandboxes[j] = shuffled.Sandboxes[j], shuffled.Sandboxes[i]
		})
		d.needRoom(t, Held{})
		shuffled.needRoom(t, Held{})
		wantEqual(t, "shuffled", shuffled.result(), d.result())
	})
}

func TestWhatIsHeldStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawTopology(t)
		later := d.copied()
		d.needRoom(t, Held{})
		held := HeldFrom(d.recorded(), nil, nil, Facts{})

		same := later.copied()
		same.needRoom(t, held)
		wantEqual(t, "again", same.result(), d.result())

		if len(later.Endpoints) > 0 && rapid.Bool().Draw(t, "remove") {
			i := rapid.IntRange(0, len(later.Endpoints)-1).Draw(t, "which")
			later.Endpoints = slices.Delete(later.Endpoints, i, i+1)
		}
		kept := later.copied()
		for i := range rapid.IntRange(0, 3).Draw(t, "more") {
			// Names that sort before, between and after the others.
			name := rapid.SampledFrom([]string{"a", "e[5]x", "z"}).Draw(t, "name") + fmt.Sprint(i)
			drawEndpoint(t, later, name, 0).IPv4 = netip.Prefix{}
		}
		later.needRoom(t, held)
		got, want := later.result(), d.result()
		for _, e := range kept.Endpoints {
			if got[e.Mark.Address] != want[e.Mark.Address] {
				t.Errorf("%s had %s and has %s now", e.Mark.Address, want[e.Mark.Address], got[e.Mark.Address])
			}
		}
		for _, n := range kept.Networks {
			if got[n.Mark.Address] != want[n.Mark.Address] {
				t.Errorf("%s had %s and has %s now", n.Mark.Address, want[n.Mark.Address], got[n.Mark.Address])
			}
		}
	})
}

func TestPrefixSetFindsEveryOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) netip.Prefix {
			ip := netip.AddrFrom4([4]byte{10, 0, rapid.Byte().Draw(t, what), rapid.Byte().Draw(t, what)})
			if rapid.Bool().Draw(t, "v6") {
				ip = netip.AddrFrom16([16]byte{0: 0xfd, 15: rapid.Byte().Draw(t, what)})
				return netip.PrefixFrom(ip, rapid.IntRange(120, 128).Draw(t, what)).Masked()
			}
			return netip.PrefixFrom(ip, rapid.IntRange(16, 32).Draw(t, what)).Masked()
		}
		set := &prefixSet{}
		var all []netip.Prefix
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			p := draw("taken")
			set.add(takenPrefix{prefix: p})
			all = append(all, p)
		}
		p := draw("asked")
		found, ok := set.overlapping(p)
		want := slices.ContainsFunc(all, p.Overlaps)
		if ok != want || (ok && !found.prefix.Overlaps(p)) {
			t.Fatalf("%s overlapping %v: %v %t", p, all, found.prefix, ok)
		}
	})
}

// bigDraft has one network of n endpoints in sandboxes of their own.
func bigDraft(n int) *draft {
	d := newDraft()
	d.network("front", "bridge", subnet("10.0.0.0/8"), subnet("fd01::/64"))
	for i := range n {
		s := &spec.Sandbox{Sandbox: state.Sandbox{Mark: d.mark("sandbox", fmt.Sprintf("w[%d]", i)), Netns: fmt.Sprint("shop-w", i)}}
		d.Sandboxes = append(d.Sandboxes, s)
		d.Endpoints = append(d.Endpoints, &spec.Endpoint{Endpoint: state.Endpoint{
			Mark: d.mark("endpoint", fmt.Sprintf("w[%d]", i)), Network: "network.front", Sandbox: s.Mark.Address}})
	}
	return d
}

// BenchmarkAllocate is the promise of 100,000 endpoints in under a second: each is in a
// sandbox and gets two addresses, a MAC and two names; held or not.
func BenchmarkAllocate(b *testing.B) {
	fresh := bigDraft(100_000)
	allocated := fresh.copied()
	allocated.mustAllocate(b, Held{})
	held := HeldFrom(allocated.recorded(), nil, nil, Facts{})
	for name, h := range map[string]Held{"new": {}, "held": held} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				d := fresh.copied()
				b.StartTimer()
				d.mustAllocate(b, h)
			}
		})
	}
	b.Run("HeldFrom", func(b *testing.B) {
		records := allocated.recorded()
		for b.Loop() {
			HeldFrom(records, nil, nil, Facts{})
		}
	})
}
