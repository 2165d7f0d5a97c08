package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// tries says how long to wait between two tries for a lock: from the first to the longest.
type tries struct{ first, longest time.Duration }

var (
	// polite asks a store, which has others to serve.
	polite = tries{100 * time.Millisecond, 2 * time.Second}
	// eager asks a file of this host for the end of what mostly takes some milliseconds.
	eager = tries{5 * time.Millisecond, 50 * time.Millisecond}
)

// lock keeps other writers of the stack out, unless -lock=false says not to. A lock that
// somebody else holds is waited for as long as -lock-timeout says. When the lock is lost,
// the context that it returns ends, and so does the run.
func (s *session) lock(ctx context.Context, store state.RecordStore, operation string) (locked context.Context, unlock func(), err error) {
	if !s.Bool("lock") {
		return ctx, func() {}, nil
	}
	host, err := hostName(s.String("host"), s.env.Getenv)
	if err != nil {
		return nil, nil, err
	}
	info := state.LockInfo{
		Operation: operation,
		Who:       whoAmI(host),
		PID:       os.Getpid(),
		Since:     time.Now().Format(time.RFC3339),
	}
	release, err := s.tryLock(ctx, store, info, time.Now().Add(s.Duration("lock-timeout")), polite)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := s.watchLock(ctx, store, release)
	return ctx, func() {
		stop()
		var lost *state.LockLostError
		if err := release(); err != nil && !errors.As(err, &lost) { // a loss has been told of
			s.say.note("Warning: releasing the lock: %s", err)
		}
	}, nil
}

// watchLock ends the run when the lock is lost: at once, because another may hold it by
// now. A lock that is lost says why when it is given back.
func (s *session) watchLock(ctx context.Context, store state.RecordStore, release func() error) (watched context.Context, stop func()) {
	watcher, ok := store.(state.LockWatcher)
	if !ok {
		return ctx, func() {}
	}
	watched, end := context.WithCancelCause(ctx)
	hard, abort := context.WithCancelCause(s.hard)
	s.hard = hard
	over := make(chan struct{})
	lost := watcher.Lost()
	go func() {
		select {
		case <-lost:
			why := release()
			abort(why)
			end(why)
		case <-over:
		}
	}()
	return watched, sync.OnceFunc(func() { close(over) })
}

// agentsTurn is for how long a lock of an agent is waited for at least. It has it for a moment,
// to write the record of its host, and nobody can know when.
const agentsTurn = 10 * time.Second

func (s *session) tryLock(ctx context.Context, store state.RecordStore, info state.LockInfo, deadline time.Time, again tries) (func() error, error) {
	told, patient := false, time.Now().Add(agentsTurn)
	for wait := again.first; ; wait = min(2*wait, again.longest) {
		release, err := store.Lock(ctx, info)
		var locked *state.LockedError
		if err == nil || !errors.As(err, &locked) {
			return release, err
		}
		end := deadline
		if locked.Holder.Operation == agentsLock && end.Before(patient) {
			end = patient
		}
		if left := time.Until(end); left <= 0 {
			return nil, fmt.Errorf("%w; wait for it to end, or wait longer with -lock-timeout=30s%s", err, breaking(locked))
		} else if !told {
			s.say.note("Waiting for the lock that %s holds...", locked.Holder)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(wait, time.Until(end))):
		}
	}
}

// breaking says how to break a lock whose holder is dead; one without an ID died with it.
func breaking(l *state.LockedError) string {
	if l.ID == "" {
		return ""
	}
	return fmt.Sprintf("; if its holder is dead, 'cnmctl force-unlock %s' breaks it", l.ID)
}
