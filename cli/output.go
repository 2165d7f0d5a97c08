package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	ucli "github.com/urfave/cli/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

func outputCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "output", ArgsUsage: "[NAME]",
		Usage: "Print the outputs of the configuration",
		Description: about(`Prints all outputs, or one. The values are those of the configuration here with what the
stack holds: addresses are the ones in use.`,
			"cnmctl output", "cnmctl output -raw db", "cnmctl output -json"),
		Flags: flags(varFlags(), hostFlag(), colorFlag(), []ucli.Flag{
			toggle("json", "write JSON"),
			toggle("raw", "write a string, number or bool as it is, without a newline"),
		}),
		Action: action(env, output),
	}
}

func output(ctx context.Context, s *session) error {
	if err := s.arguments(0, 1); err != nil {
		return err
	}
	f := &flow{s: s}
	if err := f.begin(ctx); err != nil {
		return err
	}
	if err := f.look(ctx); err != nil {
		return f.preferMistakes(ctx, err)
	}
	if err := f.evaluate(ctx); err != nil {
		return err
	}
	name := s.Args().First()
	if name == "" {
		if s.Bool("raw") {
			return s.misuse(fmt.Errorf("-raw prints one output; say which"))
		}
		if s.Bool("json") {
			return s.document(outputsDocument(f.topology.Outputs))
		}
		s.say.outputs(f.topology.Outputs)
		return nil
	}
	i := slices.IndexFunc(f.topology.Outputs, func(o *spec.Output) bool { return o.Name == name })
	if i < 0 {
		return fmt.Errorf("the configuration has no output %q", name)
	}
	return printOutput(s, f.topology.Outputs[i])
}

// printOutput prints one output. Being asked for by name, it is shown even if sensitive.
func printOutput(s *session, o *spec.Output) error {
	switch {
	case s.Bool("json"):
		return s.document(ctyjson.SimpleJSONValue{Value: o.Value})
	case s.Bool("raw"):
		text, err := convert.Convert(o.Value, cty.String)
		if err != nil || text.IsNull() {
			return fmt.Errorf("output %q is %s; -raw prints strings, numbers and bools only: use -json",
				o.Name, o.Value.Type().FriendlyName())
		}
		fmt.Fprint(s.say.text, text.AsString())
		return nil
	}
	s.say.line("%s", literal(o.Value))
	return nil
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

func typeJSON(t cty.Type) []byte {
	text, err := ctyjson.MarshalType(t)
	if err != nil {
		return []byte(`"dynamic"`)
	}
	return text
}

// showOutputs prints the outputs after an apply.
func (f *flow) showOutputs() {
	if f.topology == nil || len(f.topology.Outputs) == 0 || f.destroy {
		return
	}
	f.s.say.line("\nOutputs:\n")
	f.s.say.outputs(f.topology.Outputs)
	shown := outputsDocument(f.topology.Outputs)
	for _, o := range f.topology.Outputs {
		if o.Sensitive {
			delete(shown[o.Name].(map[string]any), "value")
		}
	}
	f.s.say.stream.emit("info", "outputs", fmt.Sprintf("Outputs: %d", len(shown)), map[string]any{"outputs": shown})
}
