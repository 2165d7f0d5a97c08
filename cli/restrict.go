package cli

import (
	"context"
	"maps"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// restrict applies -target and -exclude.
func (f *flow) restrict(ctx context.Context) error {
	targets, excludes := addresses(f.s.StringSlice("target")), addresses(f.s.StringSlice("exclude"))
	if len(targets)+len(excludes) == 0 {
		return nil
	}
	want, diags := planner.Targets(f.before, f.want, targets, excludes, addresses(f.s.StringSlice("replace")))
	if diags.HasErrors() {
		return diags
	}
	f.want = want
	f.s.say.diagnostics(diags)
	return f.share(ctx)
}

// share wants what blocks have in common (the firewall's table, forwarding) for the blocks
// that there will be: those that are chosen as they are wanted, the others as they are.
func (f *flow) share(ctx context.Context) error {
	expanded, err := drivers.Expand(f.stack, f.host, drivers.RecordsIn(f.want), registry.All())
	if err != nil {
		return err
	}
	shared := func(_ state.Key, o state.Object) bool { return o.Owner().Address == "" }
	maps.DeleteFunc(f.want, shared)
	maps.DeleteFunc(expanded, func(k state.Key, o state.Object) bool { return !shared(k, o) })
	maps.Copy(f.want, expanded)
	if err := f.kernel.ReadSysctls(ctx, f.live.World, expanded); err != nil {
		return err
	}
	f.join()
	return nil
}

func addresses(texts []string) []state.Address {
	var list []state.Address
	for _, t := range texts {
		list = append(list, state.Address(t))
	}
	return list
}
