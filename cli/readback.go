package cli

import (
	"context"
	"maps"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
)

// Snapshot reads store and kernel anew, with the settings that the plan manages: the
// applier's view of the world. An outdated setting that was reset is no longer ours.
func (f *flow) Snapshot(ctx context.Context) (state.World, error) {
	world, err := f.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	live, err := kernelAlone{f}.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	world = maps.Clone(world)
	maps.Copy(world, live)
	return world, nil
}

// kernelAlone is the applier's view of the world when there is no store to be read.
type kernelAlone struct{ *flow }

// Snapshot reads the kernel anew, with the settings that the plan manages.
func (f kernelAlone) Snapshot(ctx context.Context) (state.World, error) {
	live, err := readHost(ctx, f.kernel, f.plugins)
	if err != nil {
		return nil, err
	}
	// What is wanted comes first: a setting that is only ever raised reads as what is asked of it.
	if err := f.kernel.ReadSysctls(ctx, live.World, f.want, f.settingsWanted, f.before, f.began); err != nil {
		return nil, err
	}
	f.reset.Hide(live.World)
	return live.World, nil
}

// noteReset remembers which settings were reset.
func (f *flow) noteReset(e applier.Event) {
	if f.pass != nil {
		f.pass.Note(e)
		return
	}
	if f.reset == nil {
		f.reset = agent.Resets{}
	}
	f.reset.Note(e)
}

// findOutdated lists settings that records in the store ask for and the configuration no
// longer does.
func (f *flow) findOutdated() state.World {
	outdated := state.World{}
	if !f.recordsDiffer() {
		return outdated
	}
	past, err := drivers.Expand(f.stack, f.host, drivers.RecordsIn(f.before), registry.All())
	if err != nil {
		// Records of drivers that this cnmctl does not know are of no help here.
		f.s.log.Warn("expanding the records", "error", err)
		return outdated
	}
	for k, o := range past {
		if s, ok := o.(state.Sysctl); ok && !s.Keep && f.want[k] == nil {
			outdated[k] = s
		}
		if s, ok := o.(state.IPsecState); ok && f.want[k] == nil {
			outdated[k] = s // not in a snapshot if its rules are gone
		}
	}
	return outdated
}

// recordsDiffer reports that a record in the store is not as it is wanted.
func (f *flow) recordsDiffer() bool {
	for k, o := range f.records {
		if k.Kind == state.KindOutput {
			continue
		}
		want, ok := f.want[k]
		if !ok || !state.Compare(want, o).Same() {
			return true
		}
	}
	return false
}
