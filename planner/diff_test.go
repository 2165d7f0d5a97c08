package planner

import (
	"math/rand/v2"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
)

// mustDiff is the plan from live to want; conflicts fail the test.
func mustDiff(t testing.TB, live, want state.World, o Options) *Plan {
	t.Helper()
	p, diags := Diff(live, want, o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

func TestNothingToDo(t *testing.T) {
	p := mustDiff(t, shop().World, shop().World, opts())
	if !p.Empty() || len(p.Resources) != 0 {
		t.Errorf("a plan from a world to itself has ops: %v", p.Ops)
	}
}

// TestStable: the order of maps and of insertion must not show in a plan.
func TestStable(t *testing.T) {
	first := mustDiff(t, state.World{}, shop().World, opts())
	for range 20 {
		want := state.World{}
		keys := shop().World.Keys()
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, k := range keys {
			want.Add(shop().World[k])
		}
		if diff := cmp.Diff(first, mustDiff(t, state.World{}, want, opts()), comparers); diff != "" {
			t.Fatalf("equal input gives another plan:\n%s", diff)
		}
	}
}
