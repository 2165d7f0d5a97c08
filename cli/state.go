package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func stateCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "state",
		Usage: "Look at what the stack has, block by block; rename or forget blocks",
		Description: about(`The state is what exists: objects in the kernel that carry the stack's marks, and the records
in its store. These commands list it, and rewrite marks and records.`,
			"cnmctl state list", `cnmctl state show 'endpoint.web["w0"]'`, "cnmctl state mv network.a network.b"),
		Subcommands: []*ucli.Command{stateListCommand(env), stateShowCommand(env), stateMoveCommand(env), stateRemoveCommand(env)},
	}
}

func stateListCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "list", ArgsUsage: "[ADDRESS...]",
		Usage:       "List the blocks that the stack has",
		Description: about("Lists the addresses of all blocks, or of those given.", "cnmctl state list", "cnmctl state list endpoint.web"),
		Flags:       flags(stackFlag(), []ucli.Flag{toggle("json", "write a JSON array")}),
		Action: looking(env, func(ctx context.Context, s *session) error {
			f := &flow{s: s}
			if err := f.find(ctx); err != nil {
				return err
			}
			found, err := f.blocks(s.Args().Slice())
			if err != nil {
				return err
			}
			if s.Bool("json") {
				return s.document(found)
			}
			for _, a := range found {
				fmt.Fprintln(s.say.text, a)
			}
			return nil
		}),
	}
}

func stateShowCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "show", ArgsUsage: "ADDRESS",
		Usage:       "Show one block as it is",
		Description: about("Shows a block's record and the kernel objects that carry it.", `cnmctl state show 'sandbox.web["w0"]'`),
		Flags:       flags(stackFlag(), colorFlag(), []ucli.Flag{toggle("json", "write a JSON object")}),
		Action: looking(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(1, 1); err != nil {
				return err
			}
			return showLive(ctx, s, s.Args().Slice())
		}),
	}
}

func dryRunFlag() ucli.Flag { return toggle("dry-run", "show what would be done, and do nothing") }

func stateMoveCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "mv", ArgsUsage: "FROM TO [FROM TO...]",
		Usage: "Give blocks other addresses",
		Description: about(`Rewrites the marks in the kernel and the records in the store, so that what belongs to FROM
belongs to TO. The network itself is not touched. Several pairs are moved together.`,
			"cnmctl state mv network.a network.b", `cnmctl state mv sandbox.web 'sandbox.web["w0"]'`),
		Flags: flags([]ucli.Flag{dryRunFlag()}, lockFlags(), hostFlag(), stackFlag(), colorFlag()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(2, -1); err != nil {
				return err
			}
			if s.NArg()%2 != 0 {
				return s.misuse(fmt.Errorf("%q has no address to move to", s.Args().Get(s.NArg()-1)))
			}
			var moves []spec.Move
			for pair := range slices.Chunk(s.Args().Slice(), 2) {
				move, err := spec.ParseMove(pair[0], pair[1])
				if err != nil {
					return err
				}
				moves = append(moves, move)
			}
			return rewrite(ctx, s, func(f *flow) (planner.Options, error) { return f.move(moves) })
		}),
	}
}

func stateRemoveCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "rm", ArgsUsage: "ADDRESS...",
		Usage: "Forget blocks and leave what there is of them",
		Description: about(`Takes the marks off the kernel objects of the blocks and removes their records. What there
is stays and works on, and is nobody's: cnmctl will not touch it again.`,
			"cnmctl state rm -dry-run network.old", `cnmctl state rm 'endpoint.web["w0"]'`),
		Flags: flags([]ucli.Flag{dryRunFlag()}, lockFlags(), hostFlag(), stackFlag(), colorFlag()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(1, -1); err != nil {
				return err
			}
			return rewrite(ctx, s, func(f *flow) (planner.Options, error) { return f.forget(s.Args().Slice()) })
		}),
	}
}

// rewrite plans a change of marks and records alone, and carries it out under the lock.
func rewrite(ctx context.Context, s *session, change func(*flow) (planner.Options, error)) error {
	f := &flow{s: s}
	if err := f.identify(); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	if !s.Bool("dry-run") {
		locked, unlock, err := f.lock(ctx, "state "+s.Command.Name)
		if err != nil {
			return err
		}
		defer unlock()
		ctx = locked
	}
	if err := f.look(ctx); err != nil {
		return err
	}
	opts, err := change(f)
	if err != nil {
		return err
	}
	if err := f.diff(opts); err != nil {
		return err
	}
	if s.Bool("dry-run") {
		f.showPlan()
		return nil
	}
	if err := f.carryOut(ctx); err != nil {
		return err
	}
	n := len(f.plan.Resources)
	if s.Command.Name == "mv" {
		n = len(f.renamed)
	}
	verb := map[string]string{"mv": "Moved", "rm": "Forgot"}[s.Command.Name]
	s.say.line("%s", s.say.paint(green, fmt.Sprintf("%s %s.", verb, blocksCount(n))))
	return nil
}

// blocksCount is "1 block" or "2 blocks".
func blocksCount(n int) string {
	if n == 1 {
		return "1 block"
	}
	return fmt.Sprintf("%d blocks", n)
}

// move makes the world wanted in which blocks have other names.
func (f *flow) move(moves []spec.Move) (planner.Options, error) {
	for _, m := range moves {
		found, err := f.blocks([]string{string(m.From)})
		if err != nil {
			return planner.Options{}, err
		}
		f.renamed = append(f.renamed, found...)
		if taken, err := f.blocks([]string{string(m.To)}); err == nil {
			return planner.Options{}, fmt.Errorf("moving %s to %s: there is a block %s already", m.From, m.To, taken[0])
		}
	}
	f.want = planner.Rename(f.before, moves)
	return planner.Options{Stack: f.stack, Moves: moves}, f.rewriteShared()
}

// rewriteShared wants the new names in what is made of several blocks (the firewall's
// table, hosts files) too. What is not as the records say stays so, for a plan to show.
func (f *flow) rewriteShared() error {
	was, err := drivers.Expand(f.stack, f.host, drivers.RecordsIn(f.before), registry.All())
	if err != nil {
		return err
	}
	will, err := drivers.Expand(f.stack, f.host, drivers.RecordsIn(f.want), registry.All())
	if err != nil {
		return err
	}
	for k, o := range will {
		shared := k.Kind == state.KindRuleset || k.Kind == state.KindFile
		if live := f.before[k]; shared && live != nil && was[k] != nil && state.Compare(was[k], live).Same() {
			f.want[k] = o
		}
	}
	return nil
}

// forget makes the world wanted in which blocks are nobody's.
func (f *flow) forget(addresses []string) (planner.Options, error) {
	gone, err := f.blocks(addresses)
	if err != nil {
		return planner.Options{}, err
	}
	if err := f.together(gone); err != nil {
		return planner.Options{}, err
	}
	opts := planner.Options{Stack: f.stack}
	for _, a := range gone {
		opts.Removals = append(opts.Removals, spec.Removal{From: a})
	}
	f.want = state.World{}
	for _, o := range f.before {
		if !slices.Contains(gone, o.Owner().Address) {
			f.want.Add(o)
		}
	}
	return opts, nil
}

// together refuses to forget a network or sandbox without its endpoints, which would be
// left without what they are on.
func (f *flow) together(gone []state.Address) error {
	for _, a := range ownersOf(f.before) {
		e, ok := f.before[state.RecordKey(state.KindEndpoint, a)].(state.Endpoint)
		if !ok || slices.Contains(gone, a) {
			continue
		}
		for _, on := range []state.Address{e.Network, e.Sandbox} {
			if slices.Contains(gone, on) {
				return fmt.Errorf("%s is on %s, and cannot be the stack's without it: forget both", a, on)
			}
		}
	}
	return nil
}

// blocks lists the blocks that there are, or those of them that the addresses mean: a
// block, all its instances, or all in a module.
func (f *flow) blocks(asked []string) ([]state.Address, error) {
	all := ownersOf(f.before)
	if len(asked) == 0 {
		return all, nil
	}
	var found []state.Address
	for _, a := range asked {
		n := len(found)
		for _, there := range all {
			if spec.Covers(state.Address(a), there) {
				found = append(found, there)
			}
		}
		if len(found) == n {
			return nil, fmt.Errorf("stack %s has no block %s; 'cnmctl state list' shows what it has", f.stack, a)
		}
	}
	slices.SortFunc(found, spec.CompareAddresses)
	return slices.Compact(found), nil
}

// ownersOf lists the blocks that objects of the world belong to.
func ownersOf(w state.World) []state.Address {
	seen := map[state.Address]bool{}
	for k, o := range w {
		if a := o.Owner().Address; a != "" && k.Kind != state.KindOutput {
			seen[a] = true
		}
	}
	var all []state.Address
	for a := range seen {
		all = append(all, a)
	}
	slices.SortFunc(all, spec.CompareAddresses)
	return all
}
