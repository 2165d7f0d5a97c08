package cli

import (
	"context"
	"errors"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func syncCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "sync",
		Usage: "Make of this host what the store's records say of it",
		Description: about(`Reads the records that an apply has written, on whichever host, and makes this host's share of
them, without the configuration. Nothing is asked and no record is changed; what was done is reported to the store.
It repairs drift too. A store that knows nothing of a stack that this host has a share of is refused: it has lost its
data, or is another one. It is told then which VNIs and addresses this host holds, so that nobody else is given them.`,
			"cnmctl sync -stack=shop -store=consul", "cnmctl sync -stack=shop -store=consul -host=b -dry-run"),
		Flags: flags([]ucli.Flag{dryRunFlag()}, stackFlag(), hostFlag(), runFlags()[1:], lockFlags(), streamFlags()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(0, 0); err != nil {
				return err
			}
			if err := s.story(); err != nil {
				return err
			}
			return converge(ctx, s)
		}),
	}
}

// converge makes this host's share of the records, and says how that went.
func converge(ctx context.Context, s *session) error {
	f := &flow{s: s}
	if err := f.identify(); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	if !s.Bool("dry-run") {
		locked, unlock, err := f.lockToSync(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		ctx = locked
	}
	if err := f.planShare(ctx); err != nil {
		f.putBack(ctx, err)
		return err
	}
	if !f.pass.Records.Alive && f.plan.Empty() {
		s.say.note("There is nothing of stack %s, neither in %s nor on this host. If that is a surprise: check the name, and -store.", f.stack, f.store)
	}
	f.showPlan()
	if s.Bool("dry-run") {
		return nil
	}
	plan := f.plan
	if err := f.carryOut(ctx); err != nil {
		return err
	}
	f.reportRecords(ctx)
	s.say.done(plan, "sync")
	return nil
}

// putBack gives a store that has lost its data what this host holds, as an agent does, so that
// it is given to nobody else.
func (f *flow) putBack(ctx context.Context, failure error) {
	cluster, shared := f.store.(state.Cluster)
	var lost *agent.LostError
	if !shared || f.s.Bool("dry-run") || !errors.As(failure, &lost) {
		return
	}
	claimed, others, err := cluster.Reclaim(ctx, lost.Held)
	for _, c := range others {
		f.s.say.note("Warning: this host holds %s, which %s of stack %s has claimed", c, c.Mark.Address, c.Mark.Stack)
	}
	switch {
	case err != nil:
		f.s.say.note("Warning: putting back what this host holds: %s", err)
	case claimed > 0:
		f.s.say.note("Put back what this host holds, so that nobody else is given it: %d VNIs and addresses.", claimed)
	}
}

// lockToSync keeps others from changing this host. The lock of a shared store is not taken:
// many hosts converge at once, and nothing is written there.
func (f *flow) lockToSync(ctx context.Context) (locked context.Context, unlock func(), err error) {
	if _, shared := f.store.(state.Cluster); !shared || !f.s.Bool("lock") {
		return f.lock(ctx, "sync")
	}
	unlock, err = lockHost(ctx, f.s, f.stack, f.host, f.store, "sync")
	return ctx, unlock, err
}

// planShare plans the way from what this host is to what the records say.
func (f *flow) planShare(ctx context.Context) error {
	host := f.thisHost()
	var records agent.Records
	err := f.timed("read the store", func() (err error) {
		records, err = host.ReadRecords(ctx, f.store)
		return err
	})
	if err != nil {
		return err
	}
	return f.timed("read the kernel and plan", func() error {
		pass, err := host.Look(ctx, records, &machine{Kernel: f.kernel, plugins: f.plugins}, nil)
		if err != nil {
			return err
		}
		for _, name := range pass.Absent {
			f.s.say.note("Warning: a sandbox waits for its namespace %s", name)
		}
		f.pass, f.plan = pass, pass.Plan
		f.records, f.before, f.want = records.World, pass.Before, pass.Want
		return nil
	})
}

func (f *flow) thisHost() agent.Host {
	return agent.Host{Stack: f.stack, Name: f.host, Drivers: registry.All()}
}

// reportRecords tells a shared store which records this host has converged to.
func (f *flow) reportRecords(ctx context.Context) {
	if cluster, shared := f.store.(state.Cluster); shared {
		f.told(f.thisHost().Report(ctx, cluster, f.pass.Records, nil))
	}
}

// report tells a shared store how far this host is after an apply.
func (f *flow) report(ctx context.Context) {
	cluster, shared := f.store.(state.Cluster)
	if !shared {
		return
	}
	revision, err := cluster.Revision(ctx)
	switch host := f.thisHost(); {
	case err != nil:
	case revision.Index == 0:
		err = cluster.Retract(ctx, f.host)
	case f.whole:
		err = host.Report(ctx, cluster, agent.Records{World: f.want, Revision: revision, Alive: true}, nil)
	default:
		err = host.Introduce(ctx, cluster)
	}
	f.told(err)
}

// told warns of a report that could not be made: the host itself is as it should be.
func (f *flow) told(err error) {
	if err != nil {
		f.s.say.note("Warning: telling the other hosts how far this one is: %s", err)
	}
}
