package planner

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// OutputChange is a root output that changes.
type OutputChange struct {
	Name string
	// Before is what is saved of it, After what will be; nil for none.
	Before, After *state.Output `json:",omitempty"`
	// Awaited: After is open, and no operation saves it before plugins have answered.
	Awaited bool `json:",omitempty"`
}

// outputs are the root outputs that the plan changes: those that its operations save or
// remove, and open ones, which are saved when plugins have answered.
func (p *Plan) outputs(open []OutputChange) []OutputChange {
	changes := slices.Clone(open)
	for _, op := range p.Ops {
		if op.Key.Kind != state.KindOutput {
			continue
		}
		c := OutputChange{}
		if o, ok := op.Before.(state.Output); ok {
			c.Name, c.Before = o.Name(), &o
		}
		if o, ok := op.After.(state.Output); ok {
			c.Name, c.After = o.Name(), &o
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b OutputChange) int { return strings.Compare(a.Name, b.Name) })
	return changes
}

// putOffOutput leaves for a later plan an output whose value follows from what this one
// asks plugins for.
func (d *diff) putOffOutput(n *node) {
	want, ok := n.want.(state.Output)
	if !ok || !want.Open() || !n.made && !n.updated {
		return
	}
	n.made, n.updated = false, false
	c := OutputChange{Name: want.Name(), After: &want, Awaited: true}
	if live, ok := n.live.(state.Output); ok {
		c.Before = &live
	}
	d.open = append(d.open, c)
}

// OutputDiff is a root output's change for machines, in Terraform's words. Values that are
// sensitive are withheld, and what is not known yet is left out of After.
type OutputDiff struct {
	Actions []string `json:"actions"`
	Before  any      `json:"before"`
	After   any      `json:"after"`
	// AfterUnknown is true for a value that is not known yet; where it is part of an object
	// or a list, the same object or list says of what.
	AfterUnknown    any  `json:"after_unknown"`
	BeforeSensitive bool `json:"before_sensitive"`
	AfterSensitive  bool `json:"after_sensitive"`
}

func (c OutputChange) diff() OutputDiff {
	d := OutputDiff{Actions: []string{c.action()}, AfterUnknown: false}
	if c.Before != nil {
		if d.BeforeSensitive = c.Before.Sensitive; !d.BeforeSensitive {
			d.Before = c.Before.Value
		}
	}
	if c.After != nil {
		known := decodeValue(c.After)
		if c.Awaited {
			known, d.AfterUnknown = knownPart(known)
		}
		if d.AfterSensitive = c.After.Sensitive; !d.AfterSensitive {
			d.After = known
		}
	}
	return d
}

// action is Terraform's word for what becomes of the output.
func (c OutputChange) action() string {
	switch {
	case c.Before == nil:
		return "create"
	case c.After == nil:
		return "delete"
	}
	return "update"
}

func (c OutputChange) sensitive() bool {
	return c.Before != nil && c.Before.Sensitive || c.After != nil && c.After.Sensitive
}

// decodeValue is an output's value as Go sees JSON; absent{} without an output.
func decodeValue(o *state.Output) any {
	if o == nil {
		return absent{}
	}
	dec := json.NewDecoder(bytes.NewReader(o.Value))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return string(o.Value)
	}
	return v
}

// absent is the value of what there is not.
type absent struct{}

// isOpen reports that a plugin is still to give the text, or part of it.
func isOpen(v any) bool {
	text, ok := v.(string)
	return ok && state.HoldsAssigned(text)
}

// knownPart takes apart what is known of a value and what is not: false for nothing.
func knownPart(v any) (known, unknown any) {
	switch v := v.(type) {
	case map[string]any:
		known, open := make(map[string]any, len(v)), map[string]any{}
		for name, e := range v {
			k, u := knownPart(e)
			if u != true {
				known[name] = k
			}
			if u != false {
				open[name] = u
			}
		}
		if len(open) == 0 {
			return known, false
		}
		return known, open
	case []any:
		known, open, any := slices.Clone(v), slices.Clone(v), false
		for i, e := range v {
			known[i], open[i] = knownPart(e)
			any = any || open[i] != false
		}
		if !any {
			return known, false
		}
		return known, open
	}
	if isOpen(v) {
		return nil, true
	}
	return v, false
}

// awaited are the changes that no operation of a plan makes.
func awaited(all []OutputChange) []OutputChange {
	return slices.DeleteFunc(slices.Clone(all), func(c OutputChange) bool { return !c.Awaited })
}
