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
		now, err := a.await(ctx, known)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			a.Metrics.cutOff(true)
			a.Log.Warn("waiting for changes of the records", "error", err, "failures", failures)
			rest(ctx, min(pauseAfter(failures), longestUnheard))
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

// longestUnheard is how long an agent does not look whether Consul is back. A Consul that has
// lost its data gives out nothing for some seconds, in which all agents have to find out.
const longestUnheard = 3 * time.Second

// await waits for another revision. It ends when there is doubt whether Consul is the same as
// it was: one that comes back on another machine says nothing to those who wait for the old one.
func (a *Agent) await(ctx context.Context, known state.Revision) (state.News, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answered := make(chan struct{})
	defer close(answered)
	go func() {
		select {
		case why := <-a.doubts:
			cancel(why)
		case <-answered:
		}
	}()
	return a.Store.Await(ctx, known)
}

// attend says in the store that the agent lives, and which host it is for.
func (a *Agent) attend(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		said := false
		err := a.attendOnce(ctx, func() { failures, said = 0, true })
		if ctx.Err() != nil {
			return
		}
		a.Log.Warn("registering the host", "error", err)
		if said {
			select {
			case a.doubts <- err:
			default: // there is one already
			}
		}
		rest(ctx, pauseAfter(max(1, failures)))
	}
}

// attendOnce says it until that cannot be said any more.
func (a *Agent) attendOnce(ctx context.Context, begun func()) error {
	if err := a.register(ctx); err != nil {
		return err
	}
	return a.Store.Attend(ctx, a.Info, a.Name, func() {
		begun()
		select {
		case a.unsettled <- struct{}{}:
		default: // it is looked at already
		}
	})
}

// settleStores waits until a store that was found is settled, so that an apply some time later need
// not. It may be the one who looks after the claims, so it does not give up.
func (a *Agent) settleStores(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.unsettled:
		}
		for failures := 1; ctx.Err() == nil; failures++ {
			err := a.Store.Settle(ctx, func(time.Duration) {})
			if err == nil {
				break
			}
			a.Log.Debug("waiting until the store is settled", "error", err)
			rest(ctx, min(pauseAfter(failures), longestUnheard))
		}
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
