package agent

import (
	"context"
	"errors"
	"maps"
	"net/netip"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// Machine is the kernel of the host.
type Machine interface {
	state.Target
	// Snapshot reads what there is of the stack, without settings.
	Snapshot(context.Context) (state.World, error)
	// HostAddresses are the host's own on links that are not the stack's, with their links,
	// as the last Snapshot found them.
	HostAddresses() map[netip.Addr]string
	// Visit has the next snapshot look into namespaces of others.
	Visit(names []string) (news bool)
	// ReadSysctls adds the settings that are also in one of the other worlds.
	ReadSysctls(ctx context.Context, w state.World, like ...state.World) error
	// ReadRedirects adds where what the links get goes first.
	ReadRedirects(ctx context.Context, w state.World, links []state.Key) error
	// Probe checks that the kernel has the features.
	Probe(context.Context, []state.Feature) error
	// Raise brings up the ports that wait for a Snapshot.
	Raise(context.Context) error
	// Plugins are those of the host, whose objects are in the snapshot too.
	Plugins() state.Target
}

// ReadRecords reads what the store says that concerns the host.
func (h Host) ReadRecords(ctx context.Context, store state.RecordStore) (r Records, err error) {
	if cluster, shared := store.(state.Cluster); shared {
		return h.read(ctx, cluster, h.Follow(cluster))
	}
	r.World, err = store.Snapshot(ctx)
	r.Alive = holdsBlocks(r.World)
	return r, err
}

// Follow begins to read what of a cluster's records concerns the host.
func (h Host) Follow(c state.Cluster) state.Follower { return c.Follow(h.Name, h.global) }

// read reads what the follower has not read yet.
func (h Host) read(ctx context.Context, c state.Cluster, f state.Follower) (r Records, err error) {
	share, err := f.Read(ctx)
	if err != nil {
		return r, err
	}
	r = Records{World: share.World, Revision: share.Revision, Alive: share.Alive, Partial: share.Partial}
	if !r.Alive || r.Partial {
		_, r.Reported, err = c.Said(ctx, h.Name)
	}
	return r, err
}

// Pass is one way of the host from what it is to what the records say.
type Pass struct {
	Records Records
	// Before is what there is, Want what there shall be, both with the records.
	Before, Want state.World
	Plan         *planner.Plan
	// Absent are the namespaces of others that sandboxes wait for, each with why it is not
	// there.
	Absent []string
	// Phases are the parts of the pass in order, with the time that each took.
	Phases []applier.Phase

	machine Machine
	resets  Resets
}

// Look reads the kernel and plans. Past is the wanted world of an earlier pass, nil for
// none: settings in it that are no longer wanted are set back, which nothing in the kernel
// tells.
func (h Host) Look(ctx context.Context, r Records, m Machine, past state.World) (*Pass, error) {
	m.Visit(state.Visits(r.World, h.Name))
	live, err := m.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.ReadRedirects(ctx, live, state.Strays(live, h.Name, past, r.World)); err != nil {
		return nil, err
	}
	want, err := h.Share(r, live)
	if err != nil {
		return nil, err
	}
	absent := withoutAbsent(want, live)
	if err := h.checkLost(r, live, past); err != nil {
		return nil, err
	}
	if err := inTheWay(want, live, m.HostAddresses()); err != nil {
		return nil, err
	}
	if err := m.Probe(ctx, state.Features(want, live)); err != nil {
		return nil, err
	}
	if err := m.ReadSysctls(ctx, live, want, outdated(past, want)); err != nil {
		return nil, err
	}
	p := &Pass{Records: r, Want: want, Before: live, Absent: absent, machine: m, resets: Resets{}}
	maps.Copy(p.Before, r.World)
	plan, diags := planner.Diff(p.Before, want, planner.Options{Stack: h.Stack})
	if diags.HasErrors() {
		return nil, diags
	}
	p.Plan = plan
	return p, nil
}

// outdated are the settings that were wanted once and are no longer.
func outdated(past, want state.World) state.World {
	old := state.World{}
	for k, o := range past {
		if s, ok := o.(state.Sysctl); ok && !s.Keep && want[k] == nil {
			old[k] = s
		}
	}
	return old
}

// Targets are what the pass's plan may change: the kernel, and nothing else.
func (p *Pass) Targets() applier.Targets {
	return applier.Targets{
		Kernel: p.machine, Store: untouchable{}, Plugins: p.machine.Plugins(), Live: p, Raise: p.machine.Raise,
	}
}

// Snapshot reads the kernel anew, beside the records that the plan was made from: if they
// have changed meanwhile, that is for the next pass.
func (p *Pass) Snapshot(ctx context.Context) (state.World, error) {
	live, err := p.machine.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.machine.ReadSysctls(ctx, live, p.Want, p.Before); err != nil {
		return nil, err
	}
	p.resets.Hide(live)
	maps.Copy(live, p.Records.World)
	return live, nil
}

// Note has to hear of all events of the plan's run.
func (p *Pass) Note(e applier.Event) { p.resets.Note(e) }

// Run carries the plan out. What was done stays when something fails: it is right by
// itself, and the next pass goes on from there.
func (p *Pass) Run(ctx context.Context) error {
	if len(p.Plan.Ops) == 0 {
		return nil
	}
	result, err := applier.Run(ctx, p.Plan, p.Targets(), applier.Options{Before: p.Before, Keep: true, Events: p.Note})
	p.Phases = append(p.Phases, result.Phases...)
	return err
}

// untouchable is the store, for a plan that changes nothing there.
type untouchable struct{}

// Apply refuses whatever there is.
func (untouchable) Apply(context.Context, []state.Op, func(int, error)) error {
	return errors.New("converging a host does not write to the store")
}
