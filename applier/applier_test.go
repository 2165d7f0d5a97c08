package applier_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func mark(address string) state.Owner {
	return state.Owner{Stack: "shop", Address: state.Address(address)}
}

// sandboxed is a namespace with a veth pair to the bridge br0 and an address, and the
// claim to it.
func sandboxed(n int) []state.Object {
	ns := fmt.Sprintf("shop-w%d", n)
	place := state.Netns(ns)
	owner := mark(fmt.Sprintf("endpoint.w[%d]", n))
	outer := state.End{Place: state.Host, Name: fmt.Sprintf("v%d", n)}
	inner := state.End{Place: place, Name: "eth0"}
	ip := netip.AddrFrom4([4]byte{10, 1, 0, byte(n + 2)})
	return []state.Object{
		state.Namespace{Name: ns, Mark: mark(fmt.Sprintf("sandbox.w[%d]", n))},
		state.Link{Place: state.Host, Name: outer.Name, Mark: owner, Type: state.Veth, Peer: inner, Master: "br0", MTU: 1500, Up: true},
		state.Link{Place: place, Name: "eth0", Mark: owner, Type: state.Veth, Peer: outer, Second: true, MTU: 1500, Up: true},
		state.IPAddress{Place: place, Link: "eth0", Prefix: netip.PrefixFrom(ip, 24), Mark: owner},
		state.Claim{Network: "network.n", IP: ip, Mark: owner},
	}
}

func world(sandboxes ...int) state.World {
	w := state.World{}
	w.Add(state.Link{Place: state.Host, Name: "br0", Mark: mark("network.n"), Type: state.Bridge, MTU: 1500, Up: true})
	for _, n := range sandboxes {
		w.Add(sandboxed(n)...)
	}
	return w
}

// bench is a memory kernel and store, which see all that happens.
type bench struct {
	kernel, store *appliertest.Memory
	targets       applier.Targets
}

// split parts a world into its store's share and its kernel's.
func newBench(live state.World) *bench {
	b := &bench{kernel: appliertest.NewMemory(), store: appliertest.NewMemory()}
	for k, o := range live {
		if k.Place == state.Store {
			b.store.World.Add(o)
		} else {
			b.kernel.World.Add(o)
		}
	}
	b.targets = applier.Targets{Kernel: b.kernel, Store: b.store, Live: b}
	return b
}

func (b *bench) Snapshot(context.Context) (state.World, error) { return b.world(), nil }

func (b *bench) world() state.World {
	w := maps.Clone(b.kernel.World)
	maps.Copy(w, b.store.World)
	return w
}

func (b *bench) is(t *testing.T, want state.World) {
	t.Helper()
	if diff := cmp.Diff(want, b.world(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("the world is not as wanted (-want +got):\n%s", diff)
	}
}

func plan(t *testing.T, want, live state.World) *planner.Plan {
	t.Helper()
	p, diags := planner.Diff(live, want, planner.Options{Stack: "shop"})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// change is a plan with everything in it: sandbox 0 goes, 1 gets another MTU, 2 comes.
func change(t *testing.T) (before, after state.World, p *planner.Plan) {
	before, after = world(0, 1), world(1, 2)
	l := after[state.LinkKey(state.Host, "v1")].(state.Link)
	l.MTU = 1400
	after.Add(l)
	return before, after, plan(t, after, before)
}

func TestRunDoesThePlan(t *testing.T) {
	before, after, p := change(t)
	b := newBench(before)
	var events []applier.Event
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{
		Before: before, Events: func(e applier.Event) { events = append(events, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.is(t, after)
	if r.Done != len(p.Ops) || r.Failed != 0 || r.NotTried != 0 || r.RolledBack || r.Kept {
		t.Errorf("result %s, %+v; want all %d done", r, r, len(p.Ops))
	}
	checkEvents(t, events, len(p.Ops))
	if len(r.Phases) < len(p.Waves)+2 {
		t.Errorf("only %d phases were timed", len(r.Phases))
	}
}

// checkEvents wants every operation to begin and end once, and the count to grow.
func checkEvents(t *testing.T, events []applier.Event, ops int) {
	t.Helper()
	begun, ended := 0, 0
	for _, e := range events {
		switch {
		case e.Op == nil:
		case e.Ended:
			ended++
			if e.Done != ended || e.Total != ops {
				t.Errorf("event %d says %d of %d", ended, e.Done, e.Total)
			}
		default:
			begun++
		}
	}
	if begun != ops || ended != ops {
		t.Errorf("%d operations begun and %d ended, want %d", begun, ended, ops)
	}
	if last := events[len(events)-1]; last.Stage != applier.Verifying {
		t.Errorf("the last event is of stage %q", last.Stage)
	}
}

// Wherever an operation fails, whether it was done or not, the world is as before.
func TestRunRollsBackAtEveryOperation(t *testing.T) {
	before, _, p := change(t)
	for n := range p.Ops {
		for _, when := range []string{"before", "after"} {
			t.Run(fmt.Sprintf("%d %s", n, when), func(t *testing.T) {
				b := newBench(before)
				fail := failing(&b.targets, n, when)
				r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
				if !errors.Is(err, syscall.ENOBUFS) {
					t.Fatalf("error is %v, want ENOBUFS", err)
				}
				if !*fail {
					t.Fatal("the fault was not reached")
				}
				b.is(t, before)
				if !r.RolledBack || r.Failed != 1 || r.Done+r.Failed+r.NotTried != len(p.Ops) {
					t.Errorf("result %s, %+v", r, r)
				}
			})
		}
	}
}

// failing makes operation n of both targets together fail once with ENOBUFS.
func failing(t *applier.Targets, n int, when string) *bool {
	count, failed := 0, false
	hit := func(int, state.Op) error {
		count++
		if count == n+1 {
			failed = true
			return fmt.Errorf("operation %d: %w", n, syscall.ENOBUFS)
		}
		return nil
	}
	wrap := func(inner state.Target) state.Target {
		if when == "before" {
			return &appliertest.Faulty{Target: inner, Before: hit}
		}
		return &appliertest.Faulty{Target: inner, After: hit}
	}
	t.Kernel, t.Store = wrap(t.Kernel), wrap(t.Store)
	return &failed
}

func TestRunKeepsWhenAsked(t *testing.T) {
	before, _, p := change(t)
	b := newBench(before)
	failing(&b.targets, len(p.Ops)-1, "before")
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before, Keep: true})
	if err == nil || !r.Kept || r.RolledBack {
		t.Fatalf("error %v, result %+v", err, r)
	}
	if got, want := r.String(), fmt.Sprintf("%d done, 1 failed, 0 not tried", len(p.Ops)-1); got != want {
		t.Errorf("result %q, want %q", got, want)
	}
	if cmp.Equal(before, b.world(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})) {
		t.Error("nothing was kept")
	}
}

// An interrupt at any operation ends the run, and the world is as before.
// What the kernel's target keeps down comes up in every run that is not put back.
func TestRunRaises(t *testing.T) {
	broken := errors.New("no carrier")
	for _, c := range []struct {
		what           string
		keep           bool
		fail           bool
		raise          error
		raised, undone bool
	}{
		{what: "done", raised: true},
		{what: "failed and kept", keep: true, fail: true, raised: true},
		{what: "failed and put back", fail: true, undone: true},
		{what: "cannot be brought up", raise: broken, raised: true, undone: true},
	} {
		t.Run(c.what, func(t *testing.T) {
			before, after, p := change(t)
			b := newBench(before)
			if c.fail {
				failing(&b.targets, 1, "before")
			}
			raised := false
			b.targets.Raise = func(context.Context) error {
				raised = true
				return c.raise
			}
			r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before, Keep: c.keep})
			if raised != c.raised || r.RolledBack != c.undone || c.raise != nil && !errors.Is(err, c.raise) || (err != nil) != (c.fail || c.raise != nil) {
				t.Errorf("raised %v, rolled back %v, error %v", raised, r.RolledBack, err)
			}
			switch {
			case c.undone:
				b.is(t, before)
			case !c.fail:
				b.is(t, after)
			}
		})
	}
}

func TestRunStopsWhenCancelled(t *testing.T) {
	before, _, p := change(t)
	for n := range p.Ops {
		b := newBench(before)
		ctx, cancel := context.WithCancel(t.Context())
		count := 0
		hook := func(int, state.Op) error {
			if count++; count == n+1 {
				cancel()
			}
			return nil
		}
		b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, After: hook}
		b.targets.Store = &appliertest.Faulty{Target: b.store, After: hook}
		r, err := applier.Run(ctx, p, b.targets, applier.Options{Before: before})
		if !errors.Is(err, applier.ErrInterrupted) {
			t.Fatalf("operation %d: error is %v", n, err)
		}
		if r.Done != n+1 || r.Failed != 0 {
			t.Errorf("operation %d: %s", n, r)
		}
		b.is(t, before)
	}
}

func TestRunIsNotBegunWhenCancelled(t *testing.T) {
	before, _, p := change(t)
	b := newBench(before)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := applier.Run(ctx, p, b.targets, applier.Options{Before: before})
	if !errors.Is(err, applier.ErrInterrupted) || r.NotTried != len(p.Ops) || !r.RolledBack {
		t.Errorf("error %v, result %+v", err, r)
	}
	b.is(t, before)
}

// A second interrupt ends the rollback, and the result says what it leaves.
func TestRunAbortsTheRollback(t *testing.T) {
	before, _, p := change(t)
	b := newBench(before)
	abort, stop := context.WithCancel(t.Context())
	last := len(p.Ops) - 1
	count := 0
	hook := func(int, state.Op) error {
		count++
		switch count {
		case last + 1:
			return syscall.ENOBUFS
		case last + 3:
			stop()
		}
		return nil
	}
	b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, Before: hook}
	b.targets.Store = &appliertest.Faulty{Target: b.store, Before: hook}
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before, Abort: abort})
	if err == nil || r.RolledBack || len(r.Left) == 0 {
		t.Fatalf("error %v, result %+v", err, r)
	}
	if !strings.Contains(err.Error(), "rolling back: ") {
		t.Errorf("error %q does not speak of the rollback", err)
	}
	left := plan(t, before, b.world())
	if len(left.Ops) != len(r.Left) {
		t.Errorf("%d operations are left, the result says %d", len(left.Ops), len(r.Left))
	}
}

// A rollback that meets an error of its own says exactly what is left.
func TestRunSaysWhatAFailedRollbackLeaves(t *testing.T) {
	before, _, p := change(t)
	b := newBench(before)
	broken := false
	hook := func(_ int, op state.Op) error {
		switch {
		case op.Action == state.Create && op.Key.Kind == state.KindAddress && !broken:
			broken = true
			return syscall.ENOBUFS
		case op.Action == state.Delete && op.Key == state.NamespaceKey("shop-w2"):
			return syscall.EBUSY
		}
		return nil
	}
	b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, Before: hook}
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
	if !errors.Is(err, syscall.ENOBUFS) || !errors.Is(err, syscall.EBUSY) {
		t.Fatalf("error is %v", err)
	}
	left := plan(t, before, b.world())
	if len(left.Ops) == 0 || len(left.Ops) != len(r.Left) {
		t.Errorf("%d operations are left, the result says %d", len(left.Ops), len(r.Left))
	}
}

// What the kernel does not do, or does in addition, is found by reading back.
func TestRunVerifies(t *testing.T) {
	before, _, p := change(t)
	for name, meddle := range map[string]func(*bench){
		"missing": func(b *bench) { delete(b.kernel.World, state.LinkKey(state.Host, "v2")) },
		"changed": func(b *bench) {
			l := b.kernel.World[state.LinkKey(state.Host, "v1")].(state.Link)
			l.MTU = 1300
			b.kernel.World.Add(l)
		},
		"collateral": func(b *bench) { delete(b.store.World, sandboxed(1)[4].Key()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(before)
			count := 0
			hook := func(int, state.Op) error {
				if count++; count == len(p.Ops) {
					meddle(b)
				}
				return nil
			}
			b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, After: hook}
			b.targets.Store = &appliertest.Faulty{Target: b.store, After: hook}
			_, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
			var different *applier.DifferenceError
			if !errors.As(err, &different) || !strings.HasPrefix(err.Error(), "verifying: ") {
				t.Fatalf("error is %v", err)
			}
			b.is(t, before)
		})
	}
}

type readerFunc func() state.World

func (f readerFunc) Snapshot(context.Context) (state.World, error) { return f(), nil }

// A store that goes in the middle of a run takes its own share with it: the kernel is as
// before all the same.
func TestRunPutsTheKernelBackWithoutTheStore(t *testing.T) {
	before, _, p := change(t)
	for n := range p.Ops {
		b := newBench(before)
		gone := false
		hook := func(i int, _ state.Op) error {
			gone = gone || i == n
			return nil
		}
		store := &appliertest.Faulty{Target: b.store, Before: func(int, state.Op) error {
			if gone {
				return syscall.ECONNREFUSED
			}
			return nil
		}}
		b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, Before: hook}
		b.targets.Store = store
		all := b.targets.Live
		b.targets.Live = unreadable{all, &gone}
		b.targets.KernelAlone = readerFunc(func() state.World { return maps.Clone(b.kernel.World) })
		r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
		if !gone {
			continue // the kernel has fewer operations
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || !r.KernelRolledBack || r.RolledBack {
			t.Fatalf("operation %d: %v, %+v", n, err, r)
		}
		want := newBench(before).kernel.World
		if diff := cmp.Diff(want, b.kernel.World, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Fatalf("operation %d: the kernel is not as before:\n%s", n, diff)
		}
	}
}

// unreadable cannot be read once it is gone.
type unreadable struct {
	applier.Reader
	gone *bool
}

func (u unreadable) Snapshot(ctx context.Context) (state.World, error) {
	if *u.gone {
		return nil, syscall.ECONNREFUSED
	}
	return u.Reader.Snapshot(ctx)
}
