package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// record is the output as the store of a stack keeps it.
func (o *Output) record(stack string) (state.Output, error) {
	r := state.Output{Mark: state.Owner{Stack: stack, Address: state.OutputAddress(o.Name)}, Sensitive: o.Sensitive, Of: o.Of}
	var err error
	if r.Type, err = json.Marshal(o.Value.Type()); err == nil {
		r.Value, err = json.Marshal(ctyjson.SimpleJSONValue{Value: o.Value})
	}
	if err != nil {
		return r, fmt.Errorf("saving output %q: %w", o.Name, err)
	}
	return r, nil
}

// SavedOutput is an output that was saved, as it was.
func SavedOutput(r state.Output) (*Output, error) {
	t, err := ctyjson.UnmarshalType(r.Type)
	if err != nil {
		return nil, fmt.Errorf("reading output %q in the store: its type: %w", r.Name(), err)
	}
	v, err := ctyjson.Unmarshal(r.Value, t)
	if err != nil {
		return nil, fmt.Errorf("reading output %q in the store: %w", r.Name(), err)
	}
	return &Output{Name: r.Name(), Sensitive: r.Sensitive, Value: v}, nil
}

// sourcesOf lists the blocks and modules that an expression refers to, by itself or in
// local values.
func (m *module) sourcesOf(expr hcl.Expression) []state.Address {
	found, seen := map[state.Address]bool{}, map[string]bool{}
	var follow func(hcl.Expression)
	follow = func(expr hcl.Expression) {
		for _, ref := range references(expr.Variables()) {
			name := ref.root + "." + ref.name
			switch ref.root {
			case "local":
				if a := m.locals[ref.name]; a != nil && !seen[name] {
					seen[name] = true
					follow(a.expr)
				}
			case "module", "network", "sandbox", "endpoint", "host":
				found[state.Address(name)] = true
			}
		}
	}
	follow(expr)
	return slices.Sorted(maps.Keys(found))
}

// IsNull reports that the output says nothing, so that there is none.
func (o *Output) IsNull() bool { return o.Value == cty.NilVal || o.Value.IsNull() }

// OutputRecords are the outputs as the store of the stack keeps them. One that is null is
// none.
func (t *Topology) OutputRecords(stack string) ([]state.Output, error) {
	var records []state.Output
	for _, o := range t.Outputs {
		if o.IsNull() {
			continue
		}
		r, err := o.record(stack)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}
