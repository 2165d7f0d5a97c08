package agent

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// Agent keeps a host converged: to each new revision of the records, and whenever the
// kernel is changed by others. It works on what it knows while the store is away.
type Agent struct {
	Host
	Store state.Cluster
	// Open gives the kernel for one pass. Nobody else changes the stack in it until done.
	Open func(context.Context) (m Machine, done func(), err error)
	// Changed has something when the kernel has changed. Follow is told after each pass
	// what there shall be, of whose changes Changed tells.
	Changed <-chan struct{}
	Follow  func(state.World) error
	// Record is the host's own, which the agent keeps in the store; nil: it is none of the
	// agent's business.
	Record *state.HostRecord
	// Underlay is the MTU of the host's interface with an address, 0 for none; nil: nobody knows.
	Underlay func(netip.Addr) int
	// Info says whose process the agent is.
	Info    state.LockInfo
	Log     *slog.Logger
	Metrics *Metrics
	// Ready is called once, after the first pass that ended well.
	Ready func()
	// Dial is how services in sandboxes are checked; nil: they are not.
	Dial Dial
	// Resync is how often to compare without being told of a change (settings and files
	// change silently); 0 is DefaultResync.
	Resync time.Duration

	// follower reads the records; records are those read last; known: nothing says that
	// there are others by now.
	follower state.Follower
	records  Records
	known    bool
	// absent are the namespaces of others that the last pass did not find.
	absent []string
	// past is what the last pass that ended well wanted.
	past state.World
	// reports are for the reporter, which does not keep anybody waiting.
	reports chan report
	last    report
	said    time.Time
	// restored is how a store that had lost its records gets them back.
	restored restoration
	// lockedOut: what the host holds could not be put back, because somebody has the lock.
	lockedOut bool
	// doubts are for the watch: Consul may not be the one that it was.
	doubts   chan error
	underlay underlay
	// unsettled says that a store was found that may have to be settled.
	unsettled chan struct{}
	// hosts is how many the stack has, as far as is known.
	hosts atomic.Int64
	// checks are those of services that are being made.
	checks map[state.Key]checking
	// others run beside the loop.
	others sync.WaitGroup
	once   sync.Once
}

// DefaultResync is how often an agent looks without being told to.
const DefaultResync = 5 * time.Minute

// absentResync is how often an agent looks for namespaces of others that are not there.
const absentResync = 10 * time.Second

// calm is how long the kernel may go on changing before the agent looks: changes come in
// swarms.
const calm = 50 * time.Millisecond

// Run keeps the host converged until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	a.follower = a.Host.Follow(a.Store)
	news := make(chan state.News, 1)
	a.reports, a.doubts, a.unsettled = make(chan report, 1), make(chan error, 1), make(chan struct{}, 1)
	a.underlay.found = make(chan state.HostRecord, 1)
	a.others.Go(func() { a.watch(ctx, news) })
	a.others.Go(func() { a.attend(ctx) })
	a.others.Go(func() { a.settleStores(ctx) })
	a.others.Go(func() { a.tellUnderlay(ctx) })
	a.others.Go(func() { a.tell(ctx) })
	a.loop(ctx, news)
	a.others.Wait()
	return nil
}

// loop makes a pass at first, and then at each reason for one.
func (a *Agent) loop(ctx context.Context, news <-chan state.News) {
	failures := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		cause := ""
		select {
		case <-ctx.Done():
			return
		case n := <-news:
			if !a.hear(n) && failures == 0 {
				a.skip(n.Revision)
				continue
			}
			cause = "records"
		case <-a.Changed:
			cause = "kernel"
			if n, told := a.settle(ctx, news); told && a.hear(n) {
				cause = "records"
			}
		case <-timer.C:
			cause = "time"
		}
		if ctx.Err() != nil {
			return
		}
		err := a.pass(ctx, cause)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil && a.known {
			failures = 0
		}
		timer.Reset(a.next(failures))
	}
}

// skip goes on to a revision that changes nothing for the host.
func (a *Agent) skip(r state.Revision) {
	if r == a.records.Revision {
		return
	}
	a.records.Revision = r
	a.Metrics.skipped(r)
	a.Log.Debug("not concerned", "revision", r.Serial)
	a.report(nil, false)
}

// next is when to look again without being told to.
func (a *Agent) next(failures int) time.Duration {
	if a.restored.begun() {
		return restoringFor / 4
	}
	if a.lockedOut {
		return lockedOut/2 + pauseAfter(1)
	}
	if failures > 0 {
		return pauseAfter(failures)
	}
	resync := cmp.Or(a.Resync, DefaultResync)
	if len(a.absent) > 0 {
		resync = min(resync, absentResync) // nothing tells when they come
	}
	return resync - resync/10 + pauseAfter(1)
}

// hear takes note of news, and reports that records have to be read.
func (a *Agent) hear(n state.News) bool {
	if a.follower.Hear(n) {
		a.known = false
	}
	return !a.known
}

// settle waits a moment for what else changes in the kernel. News do not wait.
func (a *Agent) settle(ctx context.Context, news <-chan state.News) (n state.News, told bool) {
	select {
	case <-ctx.Done():
	case n = <-news:
		told = true
	case <-time.After(calm):
	}
	select {
	case <-a.Changed:
	default:
	}
	return n, told
}

// pass converges the host once, and tells of it.
func (a *Agent) pass(ctx context.Context, cause string) error {
	start := time.Now()
	drift, err := a.converge(ctx)
	took := time.Since(start)
	a.Metrics.passed(a.records.Revision, took, drift, err)
	log := a.Log.With("cause", cause, "revision", a.records.Revision.Serial, "took", took.Round(time.Microsecond))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case restoring(err):
		log.Info("waiting", "why", err)
	case err != nil:
		log.Error("converging", "error", err)
	case cause == "records":
		log.Info("converged")
	default:
		log.Debug("converged")
	}
	if err == nil {
		a.once.Do(a.Ready)
		a.checkServices(ctx, a.records.World)
		a.measure()
	}
	a.report(err, true)
	a.reclaim(ctx, err)
	return err
}

// glance is how long the agent waits for the word that its records are still the last.
const glance = time.Second

// refresh makes sure of the records. Even if the agent was told of no others there may be
// some: then what looks like drift may be what an apply on this host has just made of them.
// Of a store that does not answer nothing new is to be expected.
func (a *Agent) refresh(ctx context.Context) error {
	a.Metrics.read()
	asking := ctx
	if a.known {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, glance)
		defer cancel()
	}
	r, err := a.read(asking, a.Store, a.follower)
	whole := false
	if err == nil {
		whole, err = a.isRestored(asking, r)
	}
	switch {
	case err == nil && !whole:
		a.known = false
		return errRestoring
	case err == nil:
		a.records, a.known = r, true
		a.hosts.Store(int64(len(Known(r.World, nil))))
	case a.records.World == nil:
		return err
	case !a.known:
		a.Log.Warn("reading the records; going on with those of before", "error", err)
	}
	return ctx.Err()
}

// converge makes the host's share of the records. It says how many operations it took to repair what others had changed.
func (a *Agent) converge(ctx context.Context) (drift int, err error) {
	began := time.Now()
	m, done, err := a.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	a.step("open the kernel", began)
	was := a.records.Revision
	began = time.Now()
	if err := a.refresh(ctx); err != nil {
		return 0, err
	}
	a.step("read the records", began)
	began = time.Now()
	p, err := a.Look(ctx, a.records, m, a.past)
	a.restored.note(err)
	if err != nil {
		return 0, err
	}
	a.step("read the kernel and plan", began)
	defer func() { a.logPhases(p) }()
	for _, name := range p.Absent {
		if !slices.Contains(a.absent, name) {
			a.Log.Warn("a sandbox waits for its namespace", "namespace", name)
		}
	}
	a.absent = p.Absent
	if a.past != nil && was == a.records.Revision {
		drift = len(p.Plan.Ops)
		for _, op := range p.Plan.Ops {
			a.Log.Warn("repairing drift", "action", op.Action, "object", op.Key.String(), "reason", op.Reason)
		}
	}
	// What was begun is ended: a kernel between two states serves nobody.
	if err := p.Run(context.WithoutCancel(ctx)); err != nil {
		return drift, err
	}
	if p.Plan.Asks() { // what plugins have answered leads to more
		if p, err = a.Look(ctx, a.records, m, a.past); err != nil {
			return drift, err
		}
		if err := p.Run(context.WithoutCancel(ctx)); err != nil {
			return drift, err
		}
	}
	a.past = p.Want
	return drift, a.Follow(p.Want)
}

// step logs how long a part of a pass took that began then.
func (a *Agent) step(name string, began time.Time) {
	a.Log.Debug("step", "name", name, "took", time.Since(began))
}

func (a *Agent) logPhases(p *Pass) {
	for _, phase := range p.Phases {
		a.Log.Debug("step", "name", phase.Name, "took", phase.Took, "ops", phase.Ops)
	}
}
