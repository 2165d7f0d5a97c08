package planner

import (
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"pgregory.net/rapid"
)

// TestAddressOfASandboxThatGoes: new takes the address of old, which goes with sandbox a,
// which web leaves. So new waits for a to go, a for the record of web to be written anew,
// and that record, if it waited for everything, for new.
func TestAddressOfASandboxThatGoes(t *testing.T) {
	live := newWorld().network("front", 1).network("back", 2).sandbox("a", "").sandbox("b", "").
		endpoint("web", "front", "a", 2).endpoint("old", "back", "a", 3)
	want := newWorld().network("front", 1).network("back", 2).sandbox("b", "").
		endpoint("web", "front", "b", 2).endpoint("new", "back", "b", 3)
	p := mustDiff(t, live.World, want.World, opts())
	s := newSim(live.World, want.World)
	if err := s.run(p.Ops); err != nil {
		t.Fatalf("%v\n%s", err, listing(p))
	}
	if left := Verify(s.World, want.World, opts()); len(left) > 0 {
		t.Errorf("left: %v\n%s", left, listing(p))
	}
}

// TestOrderFromAnywhere: a run that was cut short can be followed by any other plan.
func TestOrderFromAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, want := drawPair(t)
		p := diffIn(t, live, want)
		s := newSim(live, want)
		if err := s.run(p.Ops[:rapid.IntRange(0, len(p.Ops)).Draw(t, "ops done")]); err != nil {
			t.Fatal(err)
		}
		other := drawWorld(t)
		p = diffIn(t, s.World, other)
		s = s.clone(other)
		if err := s.run(p.Ops); err != nil {
			t.Fatalf("%v\n%s", err, listing(p))
		}
		if left := Verify(s.World, other, opts()); len(left) > 0 {
			t.Fatalf("left: %v\n%s", left, listing(p))
		}
	})
}

// TestLeastFirmYields draws graphs whose firm edges form no circle, with any others: there
// is an order, it keeps all firm edges, and all others that are in no circle.
func TestLeastFirmYields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "ops")
		g := newGraph(&diff{}, make([]state.Op, n))
		op := rapid.Int32Range(0, int32(n)-1)
		for range rapid.IntRange(0, 3*n).Draw(t, "edges") {
			v, w, rank := op.Draw(t, "from"), op.Draw(t, "to"), firmness(rapid.IntRange(0, 2).Draw(t, "rank"))
			if rank == firm {
				v, w = min(v, w), max(v, w)
			}
			g.prefer(rank, v, w)
		}
		g.index()
		all := make([][]edge, n)
		for v := range g.after {
			all[v] = slices.Clone(g.after[v])
		}
		circle := g.circles()
		waves, err := g.solve()
		if err != nil {
			t.Fatal(err)
		}
		at := map[int32]int{}
		for i, wave := range waves {
			for _, v := range wave {
				at[v] = i
			}
		}
		for v := range all {
			for _, e := range all[v] {
				kept := e.rank == firm || circle[v] != circle[e.to]
				if kept && at[int32(v)] >= at[e.to] {
					t.Fatalf("%d is in wave %d, %d, which waits for it, in wave %d", v, at[int32(v)], e.to, at[e.to])
				}
			}
		}
		if len(at) != n {
			t.Fatalf("%d of %d ops are in order", len(at), n)
		}
	})
}

// TestFirmCircle: what cannot be ordered is said with the circle.
func TestFirmCircle(t *testing.T) {
	g := newGraph(&diff{}, []state.Op{
		{Action: state.Create, Key: state.NamespaceKey("a")}, {Action: state.Create, Key: state.NamespaceKey("b")},
	})
	g.edge(0, 1)
	g.edge(1, 0)
	_, err := g.solve()
	if err == nil || !strings.Contains(err.Error(), "create namespace b in the host → create namespace a in the host → create namespace b") {
		t.Errorf("error is %v", err)
	}
}
