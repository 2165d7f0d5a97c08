package kernel

import (
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

// TestQdiscs: made, read as made, changed in place, put back when somebody has taken one
// away, and deleted. What others put on a link of ours is theirs.
func TestQdiscs(t *testing.T) {
	b := newBench(t)
	if err := b.k.Probe(t.Context(), []state.Feature{state.FeatureTBF}); err != nil {
		t.Fatal(err)
	}
	ns := state.Namespace{Name: "slow", Mark: owner("sandbox.slow")}
	br := bridge("br0")
	br.Place, br.Mark = state.Netns("slow"), ns.Mark
	b.apply(create(ns)...)
	b.apply(create(br)...)
	q := state.Qdisc{Place: br.Place, Link: "br0", Mark: ns.Mark, Shape: state.NewShape(1_250_000, 0, state.EthernetMTU)}
	for range 2 {
		b.apply(create(q)...)
		b.same(ns, br, q)
	}
	b.shows("tc -n slow qdisc show dev br0", "tbf 636e: root", "rate 10Mbit")

	for _, rate := range []uint64{1000, 125_000, 1_234_567, 1e10} {
		faster := q
		faster.Shape = state.NewShape(rate, 40001, state.EthernetMTU)
		b.apply(state.Op{Action: state.Update, Key: q.Key(), Before: q, After: faster})
		b.same(ns, br, faster)
		q = faster
	}
	b.apply(remove(q)...)
	b.apply(remove(q)...) // absence is success
	b.gone(q)

	b.Sh("tc -n slow qdisc add dev br0 root handle 1: tbf rate 1mbit burst 10kb limit 30kb")
	b.gone(q)
	b.apply(create(q)...) // takes its place
	b.same(ns, br, q)
	ops := remove(ns)
	ops[0].Along = []state.Object{br, q}
	b.apply(ops...)
	b.gone(ns, br, q)
}

// TestNetem: all kinds of root in turn, with and without a token bucket behind.
func TestNetem(t *testing.T) {
	b := newBench(t)
	kerneltest.Elsewhere(t, b.k.Probe(t.Context(), []state.Feature{state.FeatureNetem}))
	br := bridge("br0")
	b.apply(create(br)...)
	shape := state.NewShape(125_000, 0, state.EthernetMTU)
	all := state.Impairment{
		Delay: 100 * time.Millisecond, Jitter: time.Millisecond, Loss: 1 << 20, Duplicate: 1 << 21, Reorder: 1 << 22, Corrupt: 1 << 23, Rate: 7000,
	}
	var before state.Object
	for i, q := range []state.Qdisc{
		{Shape: shape}, {Netem: all}, {Netem: all, Shape: shape}, {Netem: state.Impairment{Delay: 3}}, {Shape: shape},
		{Netem: state.Impairment{Loss: 1}, Shape: shape}, {Netem: state.Impairment{Rate: 1e10}},
	} {
		q.Place, q.Link, q.Mark = state.Host, "br0", br.Mark
		op := state.Op{Action: state.Update, Key: q.Key(), Before: before, After: q}
		if before == nil {
			op.Action = state.Create
		}
		b.apply(op)
		if b.same(br, q); t.Failed() {
			t.Fatalf("after change %d", i)
		}
		before = q
	}
	b.apply(remove(br)...)
}
