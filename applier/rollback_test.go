package applier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/state"
)

// An operation of a rollback that fails for good keeps nothing from being put back but
// what needs it, whichever it is.
func TestRollbackGoesOnAroundAFailure(t *testing.T) {
	before, _, p := change(t)
	halfway := newBench(before)
	failing(&halfway.targets, len(p.Ops)-1, "before")
	if _, err := applier.Run(t.Context(), p, halfway.targets, applier.Options{Before: before, Keep: true}); err == nil {
		t.Fatal("the last operation does not fail")
	}
	for _, stuck := range plan(t, before, halfway.world()).Ops {
		t.Run(fmt.Sprintf("%s %s", stuck.Action, stuck.Key), func(t *testing.T) {
			b := newBench(before)
			count := 0
			hook := func(_ int, op state.Op) error {
				count++
				switch {
				case count == len(p.Ops):
					return syscall.ENOBUFS
				case count > len(p.Ops) && op.Action == stuck.Action && op.Key == stuck.Key:
					return syscall.EBUSY
				}
				return nil
			}
			b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, Before: hook}
			b.targets.Store = &appliertest.Faulty{Target: b.store, Before: hook}
			r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
			if !errors.Is(err, syscall.ENOBUFS) || !errors.Is(err, syscall.EBUSY) || r.RolledBack {
				t.Fatalf("error %v, result %+v", err, r)
			}
			left := plan(t, before, b.world())
			if len(left.Ops) == 0 || len(left.Ops) != len(r.Left) {
				t.Errorf("%d operations are left, the result says %d", len(left.Ops), len(r.Left))
			}
			for _, op := range r.Left {
				if sandbox(op) != sandbox(stuck) {
					t.Errorf("%s %s is left, which does not need what failed", op.Action, op.Key)
				}
			}
		})
	}
}

// sandbox is the number of the one that the operation is for.
func sandbox(op state.Op) string {
	a := string(op.Object().Owner().Address)
	return a[strings.IndexByte(a, '['):]
}

// A dead plugin is not asked for what needs what it refused; kernel and store are put back.
func TestRollbackGoesOnWithoutAPlugin(t *testing.T) {
	asked := func(what string) []state.Object {
		return []state.Object{
			state.PluginNetwork{Plugin: "p", Mark: mark("network." + what)},
			state.PluginEndpoint{Plugin: "p", Network: state.Address("network." + what), Mark: mark("endpoint." + what)},
		}
	}
	before, after := world(0, 1), world(1)
	before.Add(asked("x")...)
	before.Add(asked("y")...)
	p := plan(t, after, before)
	b := newBench(before)
	plugins := appliertest.NewMemory(slices.Concat(asked("x"), asked("y"))...)
	for k := range plugins.World {
		delete(b.kernel.World, k)
	}
	b.targets.Live = readerFunc(func() state.World {
		w := b.world()
		for _, o := range plugins.World {
			w.Add(o)
		}
		return w
	})
	var refused []state.Key
	b.targets.Plugins = &appliertest.Faulty{Target: plugins, Before: func(n int, op state.Op) error {
		if n == 1 || op.Action == state.Create {
			refused = append(refused, op.Key)
			return syscall.ECONNREFUSED
		}
		return nil
	}}
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
	if !errors.Is(err, syscall.ECONNREFUSED) || r.RolledBack {
		t.Fatalf("error %v, result %+v", err, r)
	}
	if len(r.Left) == 0 || len(refused) < 2 {
		t.Errorf("%v are left, %v was refused", r.Left, refused)
	}
	for _, op := range r.Left {
		if !op.Key.Place.Asked() {
			t.Errorf("%s %s is left", op.Action, op.Key)
		}
	}
}

// When the lock is lost in a rollback, nothing more is done: another may hold it.
func TestRollbackStopsWhenTheLockIsLost(t *testing.T) {
	before, _, p := change(t)
	b := newBench(before)
	count := 0
	hook := func(_ int, op state.Op) error {
		count++
		switch {
		case count == len(p.Ops):
			return syscall.ENOBUFS
		case count > len(p.Ops) && op.Key.Place == state.Store:
			count = 1000
			return &state.LockLostError{Path: "cnm/shop/lock", Err: errors.New("gone")}
		case count > 1000:
			t.Errorf("%s %s is tried after the lock was lost", op.Action, op.Key)
		}
		return nil
	}
	b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, Before: hook}
	b.targets.Store = &appliertest.Faulty{Target: b.store, Before: hook}
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
	var lost *state.LockLostError
	if !errors.As(err, &lost) || r.RolledBack {
		t.Fatalf("error %v, result %+v", err, r)
	}
	if len(r.Left) == 0 {
		t.Error("nothing is left")
	}
}

// A target that cannot begin at all is not asked for ever, and keeps no other one from
// putting back its share.
func TestRollbackWithoutATarget(t *testing.T) {
	before, _, p := change(t)
	b := newBench(before)
	broken := false
	b.targets.Store = targetFunc(func(ctx context.Context, wave []state.Op, done func(int, error)) error {
		if broken {
			return syscall.EROFS
		}
		return b.store.Apply(ctx, wave, done)
	})
	last := state.NamespaceKey("shop-w0") // which goes after all else has changed
	b.targets.Kernel = &appliertest.Faulty{Target: b.kernel, After: func(_ int, op state.Op) error {
		if op.Action != state.Delete || op.Key != last || broken {
			return nil
		}
		broken = true
		return syscall.ENOBUFS
	}}
	r, err := applier.Run(t.Context(), p, b.targets, applier.Options{Before: before})
	if !errors.Is(err, syscall.EROFS) || r.RolledBack {
		t.Fatalf("error %v, result %+v", err, r)
	}
	for _, op := range r.Left {
		if op.Key.Place != state.Store {
			t.Errorf("%s %s is left", op.Action, op.Key)
		}
	}
	if _, there := b.kernel.World[state.NamespaceKey("shop-w2")]; there {
		t.Error("what was made is still there")
	}
}

type targetFunc func(context.Context, []state.Op, func(int, error)) error

func (f targetFunc) Apply(ctx context.Context, wave []state.Op, done func(int, error)) error {
	return f(ctx, wave, done)
}
