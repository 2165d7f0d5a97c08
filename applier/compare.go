package applier

import (
	"maps"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// predict is the world that the plan leads to from before: its operations, and nothing
// else, have happened.
func predict(before state.World, plan *planner.Plan) state.World {
	after := maps.Clone(before)
	for _, op := range plan.Ops {
		if op.Action == state.Delete {
			delete(after, op.Key)
			for _, o := range op.Along {
				delete(after, o.Key())
			}
			continue
		}
		after.Add(op.After)
		if op.Action == state.Create {
			after.Add(op.Along...)
		}
	}
	return after
}

// difference is what would have to be done to get from what is there now to the wanted
// world. Nothing of it has to be explained, so the configuration is not asked.
func (r *run) difference(want, now state.World) (*planner.Plan, error) {
	plan, diags := planner.Diff(now, want, planner.Options{Stack: r.stack})
	if diags.HasErrors() {
		return nil, diags
	}
	return plan, nil
}
