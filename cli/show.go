package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func showCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "show", ArgsUsage: "[PLANFILE]",
		Usage: "Show what there is, or a saved plan",
		Description: about(`Without an argument, prints the stack as it is: a configuration that says all that was
chosen, with the kernel objects that carry each block as comments. With a plan file, prints the plan.`,
			"cnmctl show", "cnmctl show -json", "cnmctl show p"),
		Flags: flags(stackFlag(), colorFlag(), []ucli.Flag{toggle("json", "write a JSON document")}),
		Action: looking(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(0, 1); err != nil {
				return err
			}
			if file := s.Args().First(); file != "" {
				return showSaved(s, file)
			}
			return showLive(ctx, s, nil)
		}),
	}
}

// showSaved prints a saved plan.
func showSaved(s *session, file string) error {
	saved, err := readPlan(file)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		return s.document(planner.NewDocument(saved.Plan, version))
	}
	return planner.Render(s.say.text, saved.Plan, planner.RenderOptions{Color: s.say.textColor})
}

// liveBlock is one block as it is.
type liveBlock struct {
	Address state.Address  `json:"address"`
	Record  map[string]any `json:"record"`
	Objects []liveObject   `json:"objects"`
	record  state.Object
}

// liveObject is one kernel object of a block.
type liveObject struct {
	Kind   state.Kind     `json:"kind"`
	Place  state.Place    `json:"place"`
	Name   string         `json:"name"`
	Object map[string]any `json:"object"`
	attrs  []state.Attr
}

// showLive prints the blocks that the addresses mean, or all.
func showLive(ctx context.Context, s *session, addresses []string) error {
	f := &flow{s: s}
	if err := f.find(ctx); err != nil {
		return err
	}
	which, err := f.blocks(addresses)
	if err != nil {
		return err
	}
	blocks := f.liveBlocks(which)
	var outputs []*spec.Output
	if len(addresses) == 0 {
		if outputs, err = savedOutputs(f.records); err != nil {
			return err
		}
	}
	if s.Bool("json") {
		return s.document(liveDocument(f.stack, blocks, outputs))
	}
	if len(addresses) == 0 {
		fmt.Fprint(s.say.text, stackBlock(f.stack))
	}
	names := newLabels(f.liveBlocks(ownersOf(f.before)))
	for i, b := range blocks {
		if i > 0 || len(addresses) == 0 {
			s.say.line("")
		}
		s.say.block(b, names)
	}
	for _, o := range outputs {
		s.say.line("\n%s", outputBlock(o))
	}
	return nil
}

// liveDocument is the stack for machines; without outputs when some blocks are asked for.
func liveDocument(stack string, blocks []liveBlock, outputs []*spec.Output) map[string]any {
	doc := map[string]any{"format_version": "1.1", "stack": stack, "blocks": blocks}
	if len(outputs) > 0 {
		doc["outputs"] = outputsShown(outputs)
	}
	return doc
}

// liveBlocks gathers what there is of each block.
func (f *flow) liveBlocks(which []state.Address) []liveBlock {
	index := map[state.Address]int{}
	blocks := make([]liveBlock, len(which))
	for i, a := range which {
		index[a], blocks[i] = i, liveBlock{Address: a, Objects: []liveObject{}}
	}
	for _, k := range f.before.Keys() {
		o := f.before[k]
		i, ok := index[o.Owner().Address]
		if !ok || k.Kind == state.KindClaim {
			continue
		}
		if k.Place == state.Store {
			blocks[i].record, blocks[i].Record = o, planner.Attributes(o)
		} else {
			blocks[i].Objects = append(blocks[i].Objects, liveObject{k.Kind, k.Place, k.Name, planner.Attributes(o), o.Attrs()})
		}
	}
	return blocks
}

// block prints a block in the language, with its kernel objects as comments.
func (v *voice) block(b liveBlock, names labels) {
	v.line("%s", v.paint(faint, "# "+string(b.Address)))
	switch {
	case b.record == nil:
		v.line("%s", v.paint(faint, "# (the store has no record of it)"))
	case state.Implied(b.record):
		v.line("%s", v.paint(faint, "# (made for networks that span hosts, so it need not be written)"))
	default:
		fmt.Fprint(v.text, names.block(b.record))
	}
	for _, o := range b.Objects {
		v.line("%s", v.paint(faint, "#   "+o.String()))
	}
}

// String is the object in one line.
func (o liveObject) String() string {
	text := string(o.Kind) + " " + o.Name
	if ns, ok := o.Place.Netns(); ok {
		text += " in " + ns
	}
	var parts []string
	for _, a := range o.attrs {
		switch a.Name {
		case "type", "mtu", "mac", "master", "via", "dev", "value":
			if a.Value != `""` {
				parts = append(parts, a.Name+" "+strings.Trim(a.Value, `"`))
			}
		}
	}
	if len(parts) == 0 {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, strings.Join(parts, ", "))
}
