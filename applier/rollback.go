package applier

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// rollback puts back what was there before the run, or as much of it as can be. A failed
// operation may have failed because of another one that is undone only now, so as long as a
// round mends something, there is another one.
func (r *run) rollback() error {
	want := withoutKept(r.opts.Before)
	err := r.putBack(want)
	var unread *unreadError
	if errors.As(err, &unread) && r.targets.KernelAlone != nil && r.opts.Abort.Err() == nil {
		return r.putBackKernel(want, err)
	}
	r.result.RolledBack = err == nil
	return err
}

// putBackKernel puts back the kernel's share when the store has become unreadable. Then
// the network is as it was, and what the store holds beyond that is for the next run.
func (r *run) putBackKernel(want state.World, why error) error {
	r.targets.Live = r.targets.KernelAlone
	if err := r.putBack(kernelShare(want)); err != nil {
		return errors.Join(why, err)
	}
	r.result.KernelRolledBack = true
	return why
}

// putBack does what it takes to have the wanted world again.
func (r *run) putBack(want state.World) error {
	owed, err := r.wayBack(want)
	if err != nil {
		return r.gaveUp(err, nil)
	}
	for len(owed.Ops) > 0 {
		count, failure := r.onward(r.opts.Abort, owed)
		if lockLost(failure, r.opts.Abort) != nil {
			return r.gaveUp(failure, count.left(owed))
		}
		left, err := r.verify(r.opts.Abort, want)
		if left == nil {
			return r.gaveUp(errors.Join(failure, err), count.left(owed))
		}
		answered := failure == nil && owed.Asks() // and there is more to do now
		if r.opts.Abort.Err() != nil || len(left.Ops) >= len(owed.Ops) && !answered {
			return r.gaveUp(errors.Join(failure, err), left.Ops)
		}
		owed = left
	}
	return nil
}

func kernelShare(w state.World) state.World {
	rest := maps.Clone(w)
	maps.DeleteFunc(rest, func(k state.Key, _ state.Object) bool { return k.Place == state.Store || k.Place.InIPAM() })
	return rest
}

// wayBack plans from what is there now to what was there before.
func (r *run) wayBack(want state.World) (*planner.Plan, error) {
	now, err := r.read(r.opts.Abort)
	if err != nil {
		return nil, err
	}
	return planner.Restore(want, now)
}

// withoutKept is the world without the host-wide switches that are turned on when needed
// and never off, not by a rollback either: others may rely on them by now.
func withoutKept(w state.World) state.World {
	rest := maps.Clone(w)
	maps.DeleteFunc(rest, func(_ state.Key, o state.Object) bool {
		s, ok := o.(state.Sysctl)
		return ok && s.Keep
	})
	return rest
}

// gaveUp notes what is left to be undone, as far as it is known. Its own text stays short:
// the list is the caller's to print.
func (r *run) gaveUp(err error, left []state.Op) error {
	r.result.Left = left
	if lost := lockLost(err, r.opts.Abort); lost != nil {
		err = lost
	} else if r.opts.Abort.Err() != nil {
		err = interrupted(err)
	}
	return fmt.Errorf("rolling back: %w", err)
}
