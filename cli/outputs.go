package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// wantOutputs adds to the wanted world what an apply saves of the outputs. What differs in
// them is no drift.
func (f *flow) wantOutputs(want state.World) error {
	if f.drift {
		keepOutputs(want, f.records)
		return nil
	}
	records, err := f.topology.OutputRecords(f.stack)
	for _, r := range records {
		want.Add(r)
	}
	return err
}

// answeredOutputs adds the outputs as plugins have answered. A saved plan brings no
// configuration to evaluate; it says in them what waits for which answer.
func (f *flow) answeredOutputs(ctx context.Context, last *planner.Plan, want state.World) error {
	if f.config == nil {
		keepOutputs(want, f.records)
		answers := spec.AnswersIn(want)
		for _, c := range last.Outputs {
			if !c.Awaited || c.After == nil {
				continue
			}
			o, err := answers.Fill(*c.After)
			if err != nil {
				return err
			}
			want.Add(o)
		}
		return nil
	}
	if err := f.evaluate(ctx); err != nil {
		return err
	}
	return f.wantOutputs(want)
}

// keepOutputs wants outputs as they are saved.
func keepOutputs(want, saved state.World) {
	for _, o := range saved {
		if o, ok := o.(state.Output); ok {
			want.Add(o)
		}
	}
}

// savedOutputs are the outputs among a store's records, in order of name.
func savedOutputs(records state.World) ([]*spec.Output, error) {
	var all []*spec.Output
	for _, k := range records.KeysOf(state.KindOutput) {
		o, err := spec.SavedOutput(records[k].(state.Output))
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// outputs prints outputs as name = value.
func (v *voice) outputs(all []*spec.Output) {
	widest := 0
	for _, o := range all {
		widest = max(widest, len(o.Name))
	}
	for _, o := range all {
		text := "<sensitive>"
		if !o.Sensitive {
			text = literal(o.Value)
		}
		v.line("%-*s = %s", widest, o.Name, text)
	}
}

// outputsDocument is what output -json writes: each output's value, type and whether it is
// sensitive.
func outputsDocument(all []*spec.Output) map[string]any {
	doc := map[string]any{}
	for _, o := range all {
		doc[o.Name] = map[string]any{
			"sensitive": o.Sensitive,
			"type":      json.RawMessage(typeJSON(o.Value.Type())),
			"value":     ctyjson.SimpleJSONValue{Value: o.Value},
		}
	}
	return doc
}

// outputsShown is outputsDocument without the values that are not to be shown.
func outputsShown(all []*spec.Output) map[string]any {
	doc := outputsDocument(all)
	for _, o := range all {
		if o.Sensitive {
			delete(doc[o.Name].(map[string]any), "value")
		}
	}
	return doc
}

// outputBlock is a saved output as one writes it in the language; a sensitive one cannot be.
func outputBlock(o *spec.Output) string {
	if o.Sensitive {
		return fmt.Sprintf("# output %q is %s", o.Name, state.HiddenValue)
	}
	return string(hclwrite.Format(fmt.Appendf(nil, "output %q {\n  value = %s\n}", o.Name, literal(o.Value))))
}

func typeJSON(t cty.Type) []byte {
	text, err := ctyjson.MarshalType(t)
	if err != nil {
		return []byte(`"dynamic"`)
	}
	return text
}

// showOutputs prints the outputs after an apply.
func (f *flow) showOutputs() error {
	if f.destroy {
		return nil
	}
	now := state.World{}
	keepOutputs(now, f.records)
	for _, op := range f.plan.Ops {
		switch {
		case op.Key.Kind != state.KindOutput:
		case op.After == nil:
			delete(now, op.Key)
		default:
			now.Add(op.After)
		}
	}
	all, err := savedOutputs(now)
	if err != nil || len(all) == 0 {
		return err
	}
	f.s.say.line("\nOutputs:\n")
	f.s.say.outputs(all)
	shown := outputsShown(all)
	f.s.say.stream.emit("info", "outputs", fmt.Sprintf("Outputs: %d", len(shown)), map[string]any{"outputs": shown})
	return nil
}
