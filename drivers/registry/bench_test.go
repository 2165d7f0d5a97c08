package registry_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// BenchmarkPeers is what a host has to do when ten thousand endpoints are elsewhere: list
// them, read what is there, plan, and write what is new.
func BenchmarkPeers(b *testing.B) {
	const peers = 10000
	r := records().Cluster("10.99.0.10", "10.99.0.11").Network("demo", "overlay", []string{"10.64.0.0/10"}).Change(internal).
		Sandbox("w0").Sandbox("far", on("b")).Attach("demo", "w0")
	few := *r
	few.Endpoints = append([]state.Endpoint{}, r.Endpoints...)
	ip := netip.MustParseAddr("10.64.1.0")
	for i := range peers {
		ip = ip.Next()
		v4 := ip.As4()
		name := fmt.Sprintf("e%d", i)
		r.Endpoints = append(r.Endpoints, state.Endpoint{
			Mark: drivertest.Owner("endpoint." + name), Name: name, Network: "network.demo", Sandbox: "sandbox.far", Host: "b",
			IPv4: netip.PrefixFrom(ip, 10), MAC: state.MAC{2, 0x42, v4[0], v4[1], v4[2], v4[3]}, Interface: "eth0", HostInterface: "x" + name,
		})
	}
	m := newMachine(b)
	times := map[string]time.Duration{}
	timed := func(what string, do func()) {
		start := time.Now()
		do()
		times[what] += time.Since(start)
	}
	m.become(m.world(&few))
	for b.Loop() {
		var want state.World
		var p *planner.Plan
		timed("1-expand", func() { want = m.world(r) })
		timed("2-plan", func() { p = m.plan(want) })
		if len(p.Ops) < 2*peers {
			b.Fatalf("%d operations for %d peers", len(p.Ops), peers)
		}
		timed("3-apply", func() {
			from := 0
			for _, to := range p.Waves {
				if err := m.k.Apply(context.Background(), p.Ops[from:to], func(int, error) {}); err != nil {
					b.Fatal(err)
				}
				from = to
			}
		})
		timed("4-again", func() {
			if again := m.plan(want); !again.Empty() {
				b.Fatal("something is left to do")
			}
		})
		m.become(m.world(&few))
	}
	for what, d := range times {
		b.ReportMetric(d.Seconds()*1000/float64(b.N), what+"-ms")
	}
	m.clear()
}
