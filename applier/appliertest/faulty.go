// Package appliertest holds targets for tests: one that fails or calls back at a chosen
// operation, over any real target, and one in memory that deletes like the kernel does.
package appliertest

import (
	"context"

	"github.com/cnmctl/cnmctl/state"
)

// Faulty passes operations on to Target, except where its hooks object. Operations are
// numbered from 0 over the life of the value.
type Faulty struct {
	Target state.Target
	// Before is called before operation n; an error makes the operation fail untried.
	Before func(n int, op state.Op) error
	// After is called when operation n has succeeded; an error makes it fail although it
	// was done.
	After func(n int, op state.Op) error

	next int
}

// Apply runs the wave one operation at a time.
func (f *Faulty) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	for i, op := range wave {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := f.one(ctx, op)
		done(i, err)
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Faulty) one(ctx context.Context, op state.Op) error {
	n := f.next
	f.next++
	if f.Before != nil {
		if err := f.Before(n, op); err != nil {
			return err
		}
	}
	if err := f.Target.Apply(ctx, []state.Op{op}, func(int, error) {}); err != nil {
		return err
	}
	if f.After != nil {
		return f.After(n, op)
	}
	return nil
}

// FailAt makes a Faulty whose operation n fails with err, and no other.
func FailAt(t state.Target, n int, err error) *Faulty {
	return &Faulty{Target: t, Before: func(i int, _ state.Op) error {
		if i == n {
			return err
		}
		return nil
	}}
}
