package cli

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// busyStore is locked by somebody else until it was tried often enough.
type busyStore struct {
	state.RecordStore
	tries, free int
	operation   string
}

func (b *busyStore) Lock(context.Context, state.LockInfo) (func() error, error) {
	if b.tries++; b.tries >= b.free {
		return func() error { return nil }, nil
	}
	return nil, &state.LockedError{Path: "/run/x.lock", Holder: state.LockInfo{Operation: cmp.Or(b.operation, "apply"), Who: "ann@a", Since: "now"}}
}

func TestLockIsWaitedFor(t *testing.T) {
	env, _, stderr := testEnv(nil)
	s := &session{env: env, say: newVoice(env, true, false)}
	store := &busyStore{free: 3}
	if _, err := s.tryLock(t.Context(), store, state.LockInfo{}, time.Now().Add(time.Minute), eager); err != nil {
		t.Fatal(err)
	}
	if got := stderr.String(); strings.Count(got, "Waiting for the lock that ann@a (cnmctl apply, since now) holds...\n") != 1 {
		t.Errorf("stderr is %q", got)
	}
}

// An agent has the lock for a moment, which is nobody's fault.
func TestLockOfAnAgentIsWaitedFor(t *testing.T) {
	env, _, _ := testEnv(nil)
	s := &session{env: env, say: newVoice(env, true, false)}
	if _, err := s.tryLock(t.Context(), &busyStore{free: 3, operation: agentsLock}, state.LockInfo{}, time.Now(), eager); err != nil {
		t.Error(err)
	}
}

func TestLockIsGivenUp(t *testing.T) {
	env, _, _ := testEnv(nil)
	s := &session{env: env, say: newVoice(env, true, false)}
	_, err := s.tryLock(t.Context(), &busyStore{free: 99}, state.LockInfo{}, time.Now().Add(-1), eager)
	if err == nil || exitCode(err) != codeLocked || !strings.Contains(err.Error(), "ann@a") {
		t.Errorf("error is %v with code %d", err, exitCode(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.tryLock(ctx, &busyStore{free: 99}, state.LockInfo{}, time.Now().Add(time.Minute), eager)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
