package planner

import (
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"pgregory.net/rapid"
)

// TestBehind: when an op of a way back fails, all can be done that is not behind it, and no
// promise is broken.
func TestBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, want := drawPair(t)
		p := diffIn(t, live, want)
		if len(p.Ops) == 0 {
			return
		}
		n := rapid.IntRange(1, len(p.Ops)).Draw(t, "ops done")
		s := newSim(live, want)
		if err := s.run(p.Ops[:n]); err != nil {
			t.Fatal(err)
		}
		back, err := Restore(newSim(live, want).World, s.World)
		if err != nil {
			t.Fatal(err)
		}
		if len(back.Ops) == 0 {
			return
		}
		fails := rapid.IntRange(0, len(back.Ops)-1).Draw(t, "op that fails")
		barred := map[int]bool{fails: true}
		for _, i := range back.Behind(fails) {
			barred[i] = true
		}
		s = s.clone(live)
		s.loose = back.Ops[fails].Key.Place == state.Store || renames(back.Ops[fails])
		for i, op := range back.Ops {
			if barred[i] {
				continue
			}
			if err := s.run([]state.Op{op}); err != nil {
				t.Fatalf("%v, after these failed: %s %s, and behind it %v\n%s", err, back.Ops[fails].Action, back.Ops[fails].Key,
					back.Behind(fails), listing(back))
			}
		}
	})
}

// TestBehindIsOfOneNetwork: what fails of one network does not keep the other one.
func TestBehindIsOfOneNetwork(t *testing.T) {
	before := newWorld().network("a", 1).sandbox("a", "").endpoint("a", "a", "a", 2).
		network("b", 2).sandbox("b", "").endpoint("b", "b", "b", 2)
	back, err := Restore(before.World, newWorld().World)
	if err != nil {
		t.Fatal(err)
	}
	for i, op := range back.Ops {
		own := op.Object().Owner().Address
		if own == "" {
			continue // the stack's ruleset
		}
		for _, j := range back.Behind(i) {
			if other := back.Ops[j].Object().Owner().Address; other != "" && other[len(other)-1] != own[len(own)-1] {
				t.Errorf("%s waits for %s", back.Ops[j].Key, op.Key)
			}
		}
	}
}
