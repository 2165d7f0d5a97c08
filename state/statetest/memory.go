// Package statetest holds the contract that every store of claims and records passes, and
// a store in memory that passes it.
package statetest

import (
	"context"
	"sync"

	"github.com/cnmctl/cnmctl/state"
)

// Memory is a store in memory. It keeps objects as they are written to disk, so that what
// does not survive a store is found without one. It may be used by many goroutines.
type Memory struct {
	mu      sync.Mutex
	objects map[state.Key][]byte
	holder  *state.LockInfo
}

var _ state.RecordStore = (*Memory)(nil)

// Snapshot reads all claims and records.
func (m *Memory) Snapshot(ctx context.Context) (state.World, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return m.world()
}

// Apply commits the wave as a whole, or nothing of it.
func (m *Memory) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := m.world()
	if err != nil {
		return err
	}
	after, failed, err := state.Commit(w, wave)
	if err != nil {
		done(failed, err)
		return err
	}
	if err := m.keep(after); err != nil {
		return err
	}
	for i := range wave {
		done(i, nil)
	}
	return nil
}

// Lock keeps other callers of Lock out.
func (m *Memory) Lock(ctx context.Context, info state.LockInfo) (unlock func() error, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.holder != nil {
		return nil, &state.LockedError{Path: "memory", Holder: *m.holder}
	}
	m.holder = &info
	return sync.OnceValue(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.holder = nil
		return nil
	}), nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

func (m *Memory) world() (state.World, error) {
	w := make(state.World, len(m.objects))
	for _, text := range m.objects {
		o, err := state.DecodeObject(text)
		if err != nil {
			return nil, err
		}
		w.Add(o)
	}
	return w, nil
}

func (m *Memory) keep(w state.World) error {
	objects := make(map[state.Key][]byte, len(w))
	for k, o := range w {
		text, err := state.EncodeObject(o)
		if err != nil {
			return err
		}
		objects[k] = text
	}
	m.objects = objects
	return nil
}
