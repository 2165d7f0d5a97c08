package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// How a lock that is held is watched: a query that answers at once when the lock's key
// changes, and renewals that keep the session alive.
const (
	watchWait  = 10 * time.Second
	retryEvery = 500 * time.Millisecond
)

// hold is a lock that is held.
type hold struct {
	session string
	stop    context.CancelFunc
	lost    chan struct{}

	once sync.Once
	why  error
}

// hold begins to keep the lock of a session that was made not before the given time.
func (s *Store) hold(session string, since time.Time) *hold {
	ctx, cancel := context.WithCancel(context.Background())
	ctx = withSilence(ctx, usualSilence)
	h := &hold{session: session, stop: cancel, lost: make(chan struct{})}
	go s.renew(ctx, h, since)
	go s.watch(ctx, h)
	s.mu.Lock()
	s.held = h
	s.mu.Unlock()
	return h
}

// lose says that the lock is lost, the first time for all.
func (h *hold) lose(path string, why error) error {
	h.once.Do(func() {
		h.why = &state.LockLostError{Path: path, Err: why}
		close(h.lost)
		h.stop()
	})
	return h.why
}

// err is why the lock is lost, nil while it is not.
func (h *hold) err() error {
	select {
	case <-h.lost:
		return h.why
	default:
		return nil
	}
}

// renew keeps the session alive. When Consul did not confirm that for the time to live, it
// may have given the lock to another already: our clock began before Consul's did, so we
// stop before anybody else begins.
func (s *Store) renew(ctx context.Context, h *hold, alive time.Time) {
	pause := s.ttl / 3
	for {
		end := alive.Add(s.ttl)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(pause, max(0, time.Until(end)))):
		}
		asked := time.Now()
		inTime, cancel := context.WithDeadline(ctx, end)
		entry, _, err := s.client.Session().Renew(h.session, (&api.WriteOptions{}).WithContext(inTime))
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && entry == nil:
			_ = h.lose(s.keys.lock(), errors.New("its session is gone"))
			return
		case err == nil:
			alive, pause = asked, s.ttl/3
		case !time.Now().Before(end):
			_ = h.lose(s.keys.lock(), fmt.Errorf("Consul could not be told for %s that it is still held: %w", s.ttl, innermost(err))) //nolint:staticcheck // a name is capitalized
			return
		default:
			pause = retryEvery
		}
	}
}

// watch sees the lock go as soon as it goes. It says nothing while Consul cannot be asked:
// that is what the renewals are for.
func (s *Store) watch(ctx context.Context, h *hold) {
	var seen uint64
	for {
		opts := consistent(ctx)
		opts.WaitIndex, opts.WaitTime = seen, watchWait
		pair, meta, err := s.client.KV().Get(s.keys.lock(), opts)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && (pair == nil || pair.Session != h.session):
			_ = h.lose(s.keys.lock(), errors.New("it was taken away"))
			return
		case err == nil && meta.LastIndex > seen:
			seen = meta.LastIndex
			continue
		case err == nil:
			seen = 0 // the index went back: Consul was restored
			continue
		}
		seen = 0 // who answers next may have lost its data
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
}

// Lost is closed when the lock that this store holds is lost; nil while it holds none.
func (s *Store) Lost() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	return s.held.lost
}

// lockLost is why nothing may be written: the lock that was taken is lost.
func (s *Store) lockLost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	return s.held.err()
}

// loseLock notes that a transaction found the lock not to be ours.
func (s *Store) loseLock(why error) error {
	s.mu.Lock()
	h := s.held
	s.mu.Unlock()
	if h == nil {
		return &state.LockLostError{Path: s.keys.lock(), Err: why}
	}
	return h.lose(s.keys.lock(), why)
}

// fence is what each transaction checks first: that the lock is still ours.
func (s *Store) fence() api.TxnOps {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	op := s.op(api.KVCheckSession, s.keys.lock())
	op.KV.Session = s.held.session
	return api.TxnOps{op}
}
