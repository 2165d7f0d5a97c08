package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Predict is the world after the plan was carried out on the world before. What was
// forgotten is no longer ours, so it is gone from the world together with what is in it.
func Predict(before state.World, p *Plan) state.World {
	after := maps.Clone(p.renaming().world(before))
	var forgotten []state.Key
	for _, op := range p.Ops {
		switch {
		case op.Action == state.Delete:
			delete(after, op.Key)
			for _, o := range op.Along {
				delete(after, o.Key())
			}
		case forgets(op):
			forgotten = append(forgotten, op.Key)
		default:
			after.Add(op.After)
			after.Add(op.Along...)
		}
	}
	disown(after, forgotten)
	return after
}

// disown removes objects, and what is inside them, from a world.
func disown(w state.World, keys []state.Key) {
	if len(keys) == 0 {
		return
	}
	inside := map[state.Key][]state.Key{}
	for k, o := range w {
		for _, c := range o.Inside() {
			inside[c] = append(inside[c], k)
		}
	}
	for len(keys) > 0 {
		k := keys[len(keys)-1]
		keys = keys[:len(keys)-1]
		if _, ok := w[k]; ok {
			delete(w, k)
			keys = append(keys, inside[k]...)
		}
	}
}

// Restore plans the way from what is there now to what was there before, or was to be
// there: both are worlds as they are read, with foreign things in them, which are left
// alone.
func Restore(want, now state.World) (*Plan, error) {
	plan, diags := Diff(now, refreshed(want, now), Options{back: true})
	if diags.HasErrors() {
		return nil, fmt.Errorf("planning the way back: %w", diags)
	}
	return plan, nil
}

// Verify lists how the live world still differs from the wanted one, a line for each
// difference in the order of the keys. It decides nothing, so unlike Diff it does not look
// at what a repair would take along.
func Verify(live, want state.World, opts Options) []string {
	want = refreshed(want, live)
	if settled(live, want) {
		return nil
	}
	d := newDiff(live, want, opts)
	d.fill(live, want)
	found := map[state.Key]string{}
	for _, n := range d.all {
		if problem := d.conflict(n); problem != nil && problem.Severity == hcl.DiagError {
			found[n.key] = problem.Detail
			continue
		}
		d.compare(n)
		if line := n.difference(); line != "" {
			found[n.key] = line
		}
	}
	var lines []string
	for _, k := range slices.SortedFunc(maps.Keys(found), state.CompareKeys) {
		lines = append(lines, found[k])
	}
	return lines
}

// difference says in one line how the node's live object is not as wanted.
func (n *node) difference() string {
	switch {
	case n.live == nil && n.made:
		return n.key.String() + " is missing"
	case n.want == nil && n.dead:
		return n.key.String() + " is still there"
	case n.forgotten && n.updated:
		return n.key.String() + " still bears our mark"
	case n.delta.Same():
		return ""
	}
	fields := make([]string, len(n.delta.Fields))
	for i, f := range n.delta.Fields {
		fields[i] = fmt.Sprintf("%s is %s instead of %s", f.Name, orUnset(f.Old), orUnset(f.New))
	}
	return n.key.String() + ": " + strings.Join(fields, ", ")
}

func orUnset(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}
