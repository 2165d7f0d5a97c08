package cli

import (
	"context"
	"errors"
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
		Usage: "Print the outputs that the last apply has saved",
		Description: about(`Prints all outputs, or one, as the last apply has saved them in the stack's store; only the store
is read. With -planned they are those of the configuration here, with what the stack holds: what an apply would save.
A sensitive output is shown to who asks for it by name, or with -json.`,
			"cnmctl output", "cnmctl output -raw db", "cnmctl output -json", "cnmctl output -stack=shop -raw db"),
		Flags: flags(varFlags(), hostFlag(), stackFlag(), colorFlag(), []ucli.Flag{
			toggle("json", "write JSON"),
			toggle("raw", "write a string, number or bool as it is, without a newline"),
			toggle("planned", "print what an apply would save"),
		}),
		Action: looking(env, output),
	}
}

func output(ctx context.Context, s *session) error {
	if err := s.arguments(0, 1); err != nil {
		return err
	}
	name := s.Args().First()
	if name == "" && s.Bool("raw") {
		return s.misuse(errors.New("-raw prints one output; say which"))
	}
	if s.Bool("json") && s.Bool("raw") {
		return s.misuse(errors.New("-json and -raw are two ways to print one output; give one of them"))
	}
	find := saidOutputs
	if s.Bool("planned") {
		find = plannedOutputs
	}
	all, stack, err := find(ctx, s)
	switch {
	case err != nil:
		return err
	case name != "":
		i := slices.IndexFunc(all, func(o *spec.Output) bool { return o.Name == name })
		if i < 0 {
			return noOutput(s, stack, name)
		}
		return printOutput(s, all[i])
	case s.Bool("json"):
		return s.document(outputsDocument(all))
	case len(all) == 0 && !s.Bool("planned"):
		s.say.note("Warning: stack %s has no outputs: 'cnmctl apply' saves those of the configuration", stack)
	}
	s.say.outputs(all)
	return nil
}

// saidOutputs are the outputs that were saved.
func saidOutputs(ctx context.Context, s *session) (all []*spec.Output, stack string, err error) {
	if err := s.Set("input", "false"); err != nil { // of the configuration, only the stack's name is needed
		return nil, "", err
	}
	i, err := openInventory(ctx, s)
	if err != nil {
		return nil, "", err
	}
	all, err = savedOutputs(i.world)
	return all, i.stack, err
}

// plannedOutputs are the outputs that an apply would save.
func plannedOutputs(ctx context.Context, s *session) (all []*spec.Output, stack string, err error) {
	if s.String("stack") != "" {
		return nil, "", s.misuse(errors.New("-planned is about the configuration here, and -stack about another one"))
	}
	f := &flow{s: s}
	if err := f.begin(ctx); err != nil {
		return nil, "", err
	}
	if err := f.look(ctx); err != nil {
		return nil, "", f.preferMistakes(ctx, err)
	}
	if err := f.evaluate(ctx); err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(f.topology.Outputs, func(o *spec.Output) bool { return o.IsNull() })
	return all, f.stack, nil
}

func noOutput(s *session, stack, name string) error {
	if s.Bool("planned") {
		return fmt.Errorf("the configuration has no output %q", name)
	}
	return fmt.Errorf("stack %s has no output %q; if it is new in the configuration, 'cnmctl apply' saves it", stack, name)
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
