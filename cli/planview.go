package cli

import (
	"github.com/cnmctl/cnmctl/planner"
)

// showPlan shows the plan as text, and tells it to the JSON lines.
func (f *flow) showPlan() {
	v := f.s.say
	_ = planner.Render(v.text, f.plan, planner.RenderOptions{Color: v.textColor, Drift: f.drift, Records: f.pass != nil})
	if v.stream == nil {
		return
	}
	for _, l := range planner.Story(f.plan) {
		v.stream.emit("info", l.Type, l.Message, l.Fields)
	}
}
