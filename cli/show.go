package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func showCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "show", ArgsUsage: "[PLANFILE]",
		Usage: "Show what there is, or a saved plan",
		Description: about(`Without an argument, prints the stack as it is, block by block in the configuration's
language, with the kernel objects that carry each block. With a plan file, prints the plan.`,
			"cnmctl show", "cnmctl show -json", "cnmctl show p"),
		Flags: flags(stackFlag(), colorFlag(), []ucli.Flag{toggle("json", "write a JSON document")}),
		Action: action(env, func(ctx context.Context, s *session) error {
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
		return s.document(saved.Plan)
	}
	return planner.Render(s.say.text, saved.Plan, planner.RenderOptions{Color: s.say.textColor})
}

// liveBlock is one block as it is.
type liveBlock struct {
	Address state.Address     `json:"address"`
	Values  map[string]string `json:"values,omitempty"`
	Objects []liveObject      `json:"objects"`
	record  state.Object
}

// liveObject is one kernel object of a block.
type liveObject struct {
	Kind   state.Kind        `json:"kind"`
	Place  state.Place       `json:"place"`
	Name   string            `json:"name"`
	Values map[string]string `json:"values,omitempty"`
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
	if s.Bool("json") {
		return s.document(map[string]any{"format_version": "1.0", "stack": f.stack, "blocks": blocks})
	}
	for i, b := range blocks {
		if i > 0 {
			s.say.line("")
		}
		s.say.block(b)
	}
	return nil
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
		switch {
		case !ok || k.Kind == state.KindClaim:
		case k.Place == state.Store:
			blocks[i].record, blocks[i].Values = o, values(o)
		default:
			blocks[i].Objects = append(blocks[i].Objects, liveObject{k.Kind, k.Place, k.Name, values(o)})
		}
	}
	return blocks
}

// values are an object's attributes by name, each a literal of the language.
func values(o state.Object) map[string]string {
	m := map[string]string{}
	for _, a := range o.Attrs() {
		m[a.Name] = a.Value
	}
	return m
}

// block prints a block in the configuration's language, its kernel objects as comments.
func (v *voice) block(b liveBlock) {
	v.line("%s", v.paint(faint, "# "+string(b.Address)))
	kind, name := blockKind(b.Address)
	v.line("%s %q {", kind, name)
	if b.record == nil {
		v.line("  # the store has no record of this block")
	} else {
		v.attributes(b.record)
	}
	if len(b.Objects) > 0 && b.record != nil {
		v.line("")
	}
	for _, o := range b.Objects {
		v.line("%s", v.paint(faint, "  # "+o.String()))
	}
	v.line("}")
}

// attributes prints the attributes that say something.
func (v *voice) attributes(o state.Object) {
	var shown []state.Attr
	widest := 0
	for _, a := range o.Attrs() {
		if !slices.Contains([]string{`""`, "null", "[]", "{}", "0", "false"}, a.Value) {
			shown = append(shown, a)
			widest = max(widest, len(a.Name))
		}
	}
	for _, a := range shown {
		v.line("  %-*s = %s", widest, a.Name, a.Value)
	}
}

// String is the object in one line.
func (o liveObject) String() string {
	text := string(o.Kind) + " " + o.Name
	if ns, ok := o.Place.Netns(); ok {
		text += " in " + ns
	}
	var parts []string
	for _, name := range []string{"type", "mtu", "mac", "master", "via", "dev", "value"} {
		if value, ok := o.Values[name]; ok && value != `""` {
			parts = append(parts, name+" "+strings.Trim(value, `"`))
		}
	}
	if len(parts) == 0 {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, strings.Join(parts, ", "))
}
