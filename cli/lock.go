package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// The wait between two tries for a lock grows from the first to the longest.
const (
	firstTry   = 100 * time.Millisecond
	longestTry = 2 * time.Second
)

// lock keeps other writers of the stack out, unless -lock=false says not to. A lock that
// somebody else holds is waited for as long as -lock-timeout says.
func (s *session) lock(ctx context.Context, store state.RecordStore, operation string) (unlock func(), err error) {
	if !s.Bool("lock") {
		return func() {}, nil
	}
	host, err := hostName(s.String("host"), s.env.Getenv)
	if err != nil {
		return nil, err
	}
	info := state.LockInfo{
		Operation: operation,
		Who:       whoAmI(host),
		PID:       os.Getpid(),
		Since:     time.Now().Format(time.RFC3339),
	}
	release, err := s.tryLock(ctx, store, info, time.Now().Add(s.Duration("lock-timeout")))
	if err != nil {
		return nil, err
	}
	return func() {
		if err := release(); err != nil {
			s.say.note("Warning: releasing the lock: %s", err)
		}
	}, nil
}

func (s *session) tryLock(ctx context.Context, store state.RecordStore, info state.LockInfo, deadline time.Time) (func() error, error) {
	told := false
	for wait := firstTry; ; wait = min(2*wait, longestTry) {
		release, err := store.Lock(ctx, info)
		var locked *state.LockedError
		if err == nil || !errors.As(err, &locked) {
			return release, err
		}
		if left := time.Until(deadline); left <= 0 {
			return nil, fmt.Errorf("%w; wait for it to end, or wait longer with -lock-timeout=30s", err)
		} else if !told {
			s.say.note("Waiting for the lock that %s holds...", locked.Holder)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(wait, time.Until(deadline))):
		}
	}
}
