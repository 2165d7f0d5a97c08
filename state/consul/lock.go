package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// A session without checks ends when it is not renewed for its time to live (Consul may
// take twice that), and not when gossip loses sight of a node for a moment. Its lock delay
// keeps the next taker out for as long as a holder may need to notice its loss; what is
// written to the store needs none, because each transaction checks the session.
const (
	usualTTL  = 15 * time.Second
	lockDelay = time.Second
)

// lockValue is what the lock's key says of its holder.
type lockValue struct {
	// ID is the holder's session, and what force-unlock is given.
	ID string
	state.LockInfo
}

// heldLock is the lock as it was read.
type heldLock struct {
	index uint64
	// session holds the lock, "" for none: what the value says is history then.
	session string
	value   lockValue
}

// Lock takes the stack's lock, or returns a *state.LockedError that says who has it.
func (s *Store) Lock(ctx context.Context, info state.LockInfo) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if info.PID == 0 {
		info.PID = os.Getpid()
	}
	if err := s.lockFree(ctx); err != nil {
		return nil, err
	}
	begun := time.Now()
	session, err := s.newSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.acquire(ctx, session, info); err != nil {
		s.endSession(session)
		return nil, err
	}
	h := s.hold(session, begun)
	return sync.OnceValue(func() error { return s.unlock(h) }), nil
}

// lockFree says who holds the lock, before a session is made in vain.
func (s *Store) lockFree(ctx context.Context) error {
	l, err := s.readLock(ctx)
	if err == nil && l.session != "" {
		return s.lockedError(l)
	}
	return err
}

func (s *Store) lockedError(l heldLock) error {
	return &state.LockedError{Path: s.keys.lock(), Holder: l.value.LockInfo, ID: l.value.ID}
}

func (s *Store) readLock(ctx context.Context) (l heldLock, err error) {
	var pair *api.KVPair
	err = s.try(ctx, "reading the lock "+s.keys.lock(), func(ctx context.Context) (err error) {
		pair, _, err = s.client.KV().Get(s.keys.lock(), consistent(ctx))
		return err
	})
	if err != nil || pair == nil {
		return heldLock{}, err
	}
	return lockIn(pair), nil
}

func lockIn(pair *api.KVPair) heldLock {
	l := heldLock{index: pair.ModifyIndex, session: pair.Session}
	if json.Unmarshal(pair.Value, &l.value) != nil {
		l.value = lockValue{} // somebody else's: it is held all the same
	}
	return l
}

func (s *Store) newSession(ctx context.Context) (id string, err error) {
	err = s.try(ctx, "making a session for the lock of stack "+s.stack, func(ctx context.Context) (err error) {
		id, _, err = s.client.Session().CreateNoChecks(&api.SessionEntry{
			Name: "cnmctl " + s.keys.lock(), TTL: s.ttl.String(), LockDelay: lockDelay, Behavior: api.SessionBehaviorRelease,
		}, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
	return id, err
}

// endSession ends a session of ours that holds nothing; left alone it ends by itself.
func (s *Store) endSession(id string) {
	_ = s.try(context.Background(), "ending a session", func(ctx context.Context) error {
		_, err := s.client.Session().Destroy(id, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
}

// acquire gives the lock to the session. After a lock was lost rather than given back,
// Consul holds it back for the lock delay, without saying so.
func (s *Store) acquire(ctx context.Context, session string, info state.LockInfo) error {
	value, err := json.Marshal(lockValue{session, info})
	if err != nil {
		return err
	}
	pair := &api.KVPair{Key: s.keys.lock(), Value: value, Session: session}
	for deadline := time.Now().Add(3 * lockDelay); ; {
		err := s.try(ctx, "taking the lock "+s.keys.lock(), func(ctx context.Context) error {
			_, _, err := s.client.KV().Acquire(pair, (&api.WriteOptions{}).WithContext(ctx))
			return err
		})
		if err != nil {
			return err
		}
		l, err := s.readLock(ctx)
		switch {
		case err != nil:
			return err
		case l.session == session:
			return nil
		case l.session != "":
			return s.lockedError(l)
		case time.Now().After(deadline):
			return fmt.Errorf("taking the lock %s: Consul does not give it out; try again in a few seconds", s.keys.lock())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockDelay / 10):
		}
	}
}

// unlock removes the lock and the session. A lock that was lost is nobody's to remove, and
// stays lost to this store; what is left of its session ends by itself.
func (s *Store) unlock(h *hold) error {
	h.stop()
	if err := h.err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.held == h {
		s.held = nil
	}
	s.mu.Unlock()
	defer s.endSession(h.session)
	gone, err := s.dropLock(context.Background(), h.session)
	if err == nil && !gone {
		err = h.lose(s.keys.lock(), errors.New("it was no longer held when it was given back"))
	}
	return err
}

// dropLock deletes the lock of a session, if it is that session's. It is deleted, not
// released: nothing is left of a stack that was destroyed.
func (s *Store) dropLock(ctx context.Context, session string) (gone bool, err error) {
	check, remove := s.op(api.KVCheckSession, s.keys.lock()), s.op(api.KVDelete, s.keys.lock())
	check.KV.Session = session
	var answer *api.TxnResponse
	doing := "giving back the lock " + s.keys.lock()
	lost := false
	err = s.try(ctx, doing, func(ctx context.Context) (err error) {
		gone, answer, _, err = s.client.Txn().Txn(api.TxnOps{check, remove}, (&api.QueryOptions{}).WithContext(ctx))
		lost = lost || err != nil
		return err
	})
	// What was not answered the first time may have been done all the same.
	return gone || err == nil && lost && len(answer.Errors) > 0, err
}

// ForceUnlock breaks the lock with the ID, as a *state.LockedError names it, and no other:
// a session that does not hold this very lock is not touched.
func (s *Store) ForceUnlock(ctx context.Context, id string) (state.LockInfo, error) {
	l, err := s.readLock(ctx)
	switch {
	case err != nil:
		return state.LockInfo{}, err
	case l.session == "":
		return state.LockInfo{}, fmt.Errorf("breaking the lock %s: nobody holds it", s.keys.lock())
	case l.session != l.value.ID:
		return state.LockInfo{}, fmt.Errorf("breaking the lock %s: session %s holds it, which is not cnmctl's; ask who made it", s.keys.lock(), l.session)
	case l.value.ID != id:
		return state.LockInfo{}, fmt.Errorf("breaking the lock %s: its ID is %s, not %s; %s holds it", s.keys.lock(), l.value.ID, id, l.value.LockInfo)
	}
	gone, err := s.dropLock(ctx, id)
	if err == nil && !gone {
		err = fmt.Errorf("breaking the lock %s: it passed on meanwhile", s.keys.lock())
	}
	if err == nil {
		s.endSession(id)
	}
	return l.value.LockInfo, err
}
