package agent

import (
	"context"
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
