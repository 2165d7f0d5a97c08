package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// prepare locks the stack and makes the plan. In a store that is new, or has lost its data, a
// plan may not give out what hosts have time yet to put back: then it is made anew when they
// had. They need the lock for that.
func (f *flow) prepare(ctx context.Context, plan func(context.Context) error) (locked context.Context, unlock func(), err error) {
	for {
		locked, unlock, err = f.lock(ctx, f.s.Command.Name)
		if err != nil {
			return nil, nil, err
		}
		settled := false
		if err = plan(locked); err == nil {
			settled, err = f.settled(locked)
		}
		if settled {
			return locked, unlock, nil
		}
		unlock()
		if err == nil {
			err = f.timed("wait for what hosts put back", func() error { return settle(ctx, f.s, f.store) })
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// settled reports that what the plan gives out is nobody's.
func (f *flow) settled(ctx context.Context) (bool, error) {
	cluster, shared := f.store.(state.Cluster)
	if !shared || !f.claims() || !f.spansHosts() {
		return true, nil
	}
	return cluster.Settled(ctx)
}

// claims reports that the plan claims something.
func (f *flow) claims() bool {
	return slices.ContainsFunc(f.plan.Ops, func(op state.Op) bool {
		return op.Action == state.Create && op.Key.Kind == state.KindClaim
	})
}

// spansHosts reports that networks of the stack have tunnels, now or after the plan, or that it
// makes sandboxes on other hosts.
func (f *flow) spansHosts() bool {
	return hasVNIs(f.records) || slices.ContainsFunc(f.plan.Ops, func(op state.Op) bool {
		s, is := op.After.(state.Sandbox)
		return isVNI(op.After) || is && op.Action == state.Create && s.Host != "" && s.Host != f.host
	})
}

func hasVNIs(w state.World) bool {
	for _, o := range w {
		if isVNI(o) {
			return true
		}
	}
	return false
}

func isVNI(o state.Object) bool {
	c, is := o.(state.Claim)
	return is && c.VNI != 0
}

// settle waits until the hosts had the time to put back what they hold.
func settle(ctx context.Context, s *session, store state.RecordStore) error {
	return store.(state.Cluster).Settle(ctx, func(d time.Duration) {
		text := fmt.Sprintf("%s is new, or has lost its data: waiting %s, so that agents put back what their hosts hold...", store, d)
		s.say.note("%s", text)
		s.say.stream.emit("info", "log", text, nil)
	})
}
