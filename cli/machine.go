package cli

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/cnmctl/cnmctl/state/local"
	"github.com/cnmctl/cnmctl/state/plugins"
)

// machine is the kernel as converging sees it.
type machine struct {
	*kernel.Kernel
	plugins *plugins.Target
	others  map[netip.Addr]string
}

// Plugins are those of this host.
func (m *machine) Plugins() state.Target { return m.plugins }

// Snapshot reads what there is of the stack.
func (m *machine) Snapshot(ctx context.Context) (state.World, error) {
	live, err := readHost(ctx, m.Kernel, m.plugins)
	if err != nil {
		return nil, err
	}
	m.others = live.HostAddresses
	return live.World, nil
}

// HostAddresses are the host's own, as the last Snapshot found them.
func (m *machine) HostAddresses() map[netip.Addr]string { return m.others }

// machineTurn is how long a run waits for another one on this host to end: one that
// converges it, as its agent does.
const machineTurn = 20 * time.Second

// lock keeps other writers of the stack out, and others from changing this host.
func (f *flow) lock(ctx context.Context, operation string) (locked context.Context, unlock func(), err error) {
	locked, unlockStore, err := f.s.lock(ctx, f.store, operation)
	if err != nil || !f.s.Bool("lock") {
		return locked, unlockStore, err
	}
	unlockHost, err := lockHost(locked, f.s, f.stack, f.host, f.store, operation)
	if err != nil {
		unlockStore()
		return nil, nil, err
	}
	return locked, func() {
		unlockHost()
		unlockStore()
	}, nil
}

// lockHost keeps other runs from changing the stack's share of this host meanwhile. A store
// that hosts share cannot do that: its lock is for the records.
func lockHost(ctx context.Context, s *session, stack, host string, store state.RecordStore, operation string) (unlock func(), err error) {
	if _, shared := store.(state.Cluster); !shared {
		return func() {}, nil
	}
	mine, err := local.Open(local.Options{Stack: stack + "@" + host})
	if err != nil {
		return nil, fmt.Errorf("locking this host: %w", err)
	}
	release, err := s.tryLock(ctx, mine, state.LockInfo{
		Operation: operation, Who: whoAmI(host), PID: os.Getpid(), Since: time.Now().Format(time.RFC3339),
	}, time.Now().Add(max(machineTurn, s.Duration("lock-timeout"))), eager)
	if err != nil {
		return nil, err
	}
	return func() {
		if err := release(); err != nil {
			s.say.note("Warning: releasing the lock of this host: %s", err)
		}
	}, nil
}
