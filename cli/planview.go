package cli

import (
	"fmt"

	"github.com/cnmctl/cnmctl/planner"
)

// showPlan shows the plan as text, and tells it to the JSON lines.
func (f *flow) showPlan() {
	v := f.s.say
	_ = planner.Render(v.text, f.plan, planner.RenderOptions{Color: v.textColor})
	for i := range f.plan.Resources {
		r := &f.plan.Resources[i]
		kind := "planned_change"
		change := map[string]any{"resource": map[string]any{"addr": r.Address}, "action": r.Action}
		if r.Reason != "" {
			change["reason"] = r.Reason
		}
		if r.From != "" {
			change["previous_resource"] = map[string]any{"addr": r.From}
		}
		if r.Drift {
			v.stream.emit("info", "resource_drift", string(r.Address)+": drift detected", map[string]any{"change": change})
		}
		v.stream.emit("info", kind, string(r.Address)+": plan to "+string(r.Action), map[string]any{"change": change})
	}
	c := f.plan.Count()
	v.stream.emit("info", "change_summary", planSummary(c), map[string]any{"changes": map[string]any{
		"add": c.Add, "change": c.Change, "remove": c.Destroy, "forget": c.Forget, "move": c.Move, "operation": "plan",
	}})
}

// planSummary is a plan in one line.
func planSummary(c planner.Count) string {
	return fmt.Sprintf("Plan: %d to add, %d to change, %d to destroy.", c.Add, c.Change, c.Destroy)
}
