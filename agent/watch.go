package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// watch tells of each revision of the records, the latest if nobody listened meanwhile.
func (a *Agent) watch(ctx context.Context, news chan state.News) {
	var known state.Revision
	var often pace
	for failures := 0; ctx.Err() == nil; {
		now, err := a.Store.Await(ctx, known)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			a.Metrics.cutOff(true)
			a.Log.Warn("waiting for changes of the records", "error", err, "failures", failures)
			rest(ctx, pauseAfter(failures))
			continue
		case failures > 0:
			a.Log.Info("the store answers again", "failures", failures)
		}
		failures, known = 0, now.Revision
		a.Metrics.cutOff(false)
		select {
		case <-news:
		default:
		}
		news <- now
		if d := interval(int(a.hosts.Load())); d != often.interval {
			often = pace{interval: d, burst: 10} // what was paid for was dearer, or cheaper
		}
		rest(ctx, often.wait(time.Now()))
	}
}

// attend says in the store that the agent lives, and which host it is for.
func (a *Agent) attend(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		err := a.register(ctx)
		if err == nil {
			err = a.Store.Attend(ctx, a.Info, a.Name, func() { failures = 0 })
		}
		if ctx.Err() != nil {
			return
		}
		a.Log.Warn("registering the host", "error", err)
		rest(ctx, pauseAfter(max(1, failures)))
	}
}

// register writes the host's record, unless the configuration has one.
func (a *Agent) register(ctx context.Context) error {
	if a.Record == nil {
		return nil
	}
	if op, err := a.registration(ctx); err != nil || op == nil {
		return err
	}
	// Under the lock, so that it is not in the way of an apply, which reads back what it wrote.
	unlock, err := a.Store.Lock(ctx, a.Info)
	if err != nil {
		return err
	}
	defer func() {
		if err := unlock(); err != nil {
			a.Log.Warn("giving back the lock", "error", err)
		}
	}()
	op, err := a.registration(ctx)
	if err != nil || op == nil {
		return err
	}
	a.Log.Info("registering the host", "vtep", a.Record.VTEP.String(), "mtu", a.Record.MTU)
	return a.Store.Apply(ctx, []state.Op{*op}, func(int, error) {})
}

// registration is what has to be written, nil for nothing.
func (a *Agent) registration(ctx context.Context) (*state.Op, error) {
	hosts, err := a.Store.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	return Registration(hosts, *a.Record)
}

// Registration is the change by which the records hold the host's, nil when they do. A
// record that the configuration makes is not the agent's to change.
func Registration(w state.World, want state.HostRecord) (*state.Op, error) {
	op := &state.Op{Action: state.Create, Key: want.Key(), After: want}
	for _, o := range w {
		have, is := o.(state.HostRecord)
		if !is || have.Name != want.Name {
			continue
		}
		switch {
		case have.VTEP == want.VTEP && (have.MTU == want.MTU || !have.Registered):
			return nil, nil
		case !have.Registered:
			return nil, fmt.Errorf("the configuration says that host %s has its tunnel end at %s, and -advertise says %s: change one of them",
				want.Name, have.VTEP, want.VTEP)
		}
		op.Action, op.Key, op.Before = state.Update, have.Key(), have
		want.Mark = have.Mark
		op.After = want
	}
	for _, o := range w {
		if h, is := o.(state.HostRecord); is && h.Name != want.Name && h.VTEP == want.VTEP {
			return nil, errors.New("host " + h.Name + " has its tunnel end at " + h.VTEP.String() + " already: two hosts cannot share one")
		}
	}
	return op, nil
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
