package planner

import (
	"maps"
	"slices"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"pgregory.net/rapid"
)

// TestSettled: the short way says that nothing is to be done exactly when deciding on each object
// says so.
func TestSettled(t *testing.T) {
	agreed := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		want := drawWorld(t)
		live := maps.Clone(want)
		keys := want.Keys()
		key := func() state.Key { return rapid.SampledFrom(keys).Draw(t, "key") }
		other := drawWorld(t)
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			k := key()
			switch rapid.IntRange(0, 6).Draw(t, "change") {
			case 0:
				delete(live, k)
			case 1:
				delete(want, k)
			case 2:
				if o := other[k]; o != nil {
					live[k] = o
				}
			case 3:
				live[k] = state.Foreign{K: k, What: "somebody else's"}
			case 4:
				k.Name += "x"
				live[k] = state.Foreign{K: k, What: "somebody else's"}
			case 5:
				s := state.Sysctl{Place: state.Host, Path: "net/ipv4/ip_forward", Value: "1", Keep: rapid.Bool().Draw(t, "keep"), Mark: mark("network.n0")}
				live[s.Key()] = s
			case 6:
				want[k] = state.Foreign{K: k, What: "somebody else's"}
			}
		}
		d, diags := classified(live, want, opts())
		idle := len(diags) == 0 && !slices.ContainsFunc(d.all, (*node).changed)
		if got := settled(live, want); got != idle {
			t.Fatalf("settled: %t, but of what was decided one by one: %t, %v", got, idle, diags)
		}
		agreed[idle]++
	})
	if agreed[true] == 0 || agreed[false] == 0 {
		t.Errorf("the worlds are too much alike: %v", agreed)
	}
}
