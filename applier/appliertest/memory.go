package appliertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Memory is a world in memory that is strict where the kernel is: what an object needs
// must be there, and what is inside a deleted object goes with it.
type Memory struct{ World state.World }

// NewMemory is a target that holds the objects.
func NewMemory(objects ...state.Object) *Memory {
	m := &Memory{World: state.World{}}
	m.World.Add(objects...)
	return m
}

// Snapshot is a copy of the world.
func (m *Memory) Snapshot(context.Context) (state.World, error) {
	return maps.Clone(m.World), nil
}

// Apply runs the wave.
func (m *Memory) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	for i, op := range wave {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := m.one(op)
		done(i, err)
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) one(op state.Op) error {
	if op.Action == state.Delete {
		m.remove(op.Key)
		return nil
	}
	for _, need := range op.After.Needs() {
		if _, ok := m.World[need]; !ok {
			return fmt.Errorf("creating %s: %s: %w", op.Key, need, errors.ErrUnsupported)
		}
	}
	m.World.Add(op.After)
	if op.Action == state.Create {
		m.World.Add(op.Along...)
	}
	return nil
}

// remove deletes an object and, as the kernel does, all that is inside it.
func (m *Memory) remove(k state.Key) {
	if _, ok := m.World[k]; !ok {
		return
	}
	delete(m.World, k)
	for other, o := range maps.Clone(m.World) {
		if slices.Contains(o.Inside(), k) {
			m.remove(other)
		}
	}
}
