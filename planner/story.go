package planner

import (
	"encoding/json"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
)

// Line is one line of the machine-readable story of a run, in Terraform's terms: its type,
// what it says to people, and its fields.
type Line struct {
	Type, Message string
	Fields        map[string]any
}

// Story tells the plan in lines: resource_drift for what somebody else has changed,
// planned_change for each block, change_summary, and outputs when some change.
func Story(p *Plan) []Line {
	var drift, planned []Line
	for i := range p.Resources {
		r := &p.Resources[i]
		if r.Address == "" {
			continue
		}
		change := map[string]any{"resource": storyResource(r.Address), "action": string(r.Action)}
		if r.From != "" {
			change["previous_resource"] = storyResource(r.From)
		}
		if r.Host != "" {
			change["host"] = r.Host
		}
		if r.Reason != "" {
			change["reason"] = r.Reason
		}
		if r.Drift {
			found := map[string]any{"resource": change["resource"], "action": storyDrift(r)}
			drift = append(drift, Line{"resource_drift", string(r.Address) + ": Drift detected (" + storyDrift(r) + ")", map[string]any{"change": found}})
		}
		planned = append(planned, Line{"planned_change", string(r.Address) + ": Plan to " + string(r.Action), map[string]any{"change": change}})
	}
	for _, c := range p.Flows {
		planned = append(planned, Line{"flow_change", "flow " + c.String(), map[string]any{"flow": c}})
	}
	return append(append(drift, planned...), p.storyEnd()...)
}

// storyDrift is what somebody else did to the block.
func storyDrift(r *Resource) string {
	if r.Action == CreateResource {
		return "delete"
	}
	return "update"
}

// storyEnd is the summary, and the outputs.
func (p *Plan) storyEnd() []Line {
	c := p.Count()
	operation := "plan"
	if p.Destroy {
		operation = "destroy"
	}
	lines := []Line{{"change_summary", "Plan: " + counts(c, "") + ".", map[string]any{"changes": map[string]any{
		"add": c.Add, "change": c.Change, "remove": c.Destroy, "import": 0, "forget": c.Forget, "operation": operation}}}}
	if len(p.Outputs) == 0 {
		return lines
	}
	outputs := map[string]any{}
	for _, o := range p.Outputs {
		outputs[o.Name] = map[string]any{"action": o.action(), "sensitive": o.sensitive()}
	}
	return append(lines, Line{"outputs", "Outputs: " + strconv.Itoa(len(p.Outputs)), map[string]any{"outputs": outputs}})
}

// storyResource is a block as Terraform's lines name one.
func storyResource(a state.Address) map[string]any {
	kind, name := labelsOf(a)
	module := ""
	if m := modulesOf(a); len(m) > 0 {
		module = string(m[len(m)-1])
	}
	_, key := blockOf(a)
	local := string(a)
	if module != "" {
		local = local[len(module)+1:]
	}
	r := map[string]any{"addr": string(a), "module": module, "resource": local,
		"resource_type": kind, "resource_name": name, "resource_key": nil}
	if key != "" {
		r["resource_key"] = json.RawMessage(key[1 : len(key)-1])
	}
	return r
}
