package consul

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// A store without the key cnm/settled is new, or has lost its data, which nobody can tell
// from each other: what hosts hold is not in it then. So nothing that they may hold is given
// out before they had the time to put it back. Their agents look every few seconds for a
// Consul that is away, and renew their sessions every five; where they are many and keep on
// putting claims back, they get more time.
const (
	settlingFor    = 8 * time.Second
	settlingAtMost = time.Minute
	quietFor       = 2 * time.Second
	lookEvery      = 500 * time.Millisecond
	// takeoverAfter is when somebody else looks after the claims.
	takeoverAfter = settlingAtMost + 10*time.Second
)

// settlement says that the store is settled, or that somebody waits until it is. A store that
// loses its data loses this too, so who waits for it begins anew.
type settlement struct {
	When    time.Time
	From    string
	Waiting bool `json:",omitempty"`
	// By is who looks after the claims: others on the same host are called the same.
	By string `json:",omitempty"`
}

// settling is how long somebody has waited for one settlement.
type settling struct {
	mu    sync.Mutex
	index uint64
	since time.Time
	// claims is the index of the latest claim, changed when it became another.
	claims  uint64
	changed time.Time
}

// sees takes note of which settlement it is.
func (w *settling) sees(now time.Time, index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index != w.index {
		w.index, w.since, w.claims, w.changed = index, now, 0, now
	}
}

// waited is for how long there has been this settlement.
func (w *settling) waited(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Sub(w.since)
}

// over takes note of the claims, and reports that they need not be waited for any longer.
func (w *settling) over(now time.Time, claims uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if claims != w.claims {
		w.claims, w.changed = claims, now
	}
	waited := now.Sub(w.since)
	return waited >= settlingAtMost || waited >= settlingFor && now.Sub(w.changed) >= quietFor
}

// Settled reports that hosts had the time to put back what they hold.
func (s *Store) Settled(ctx context.Context) (bool, error) {
	now, index, err := s.settlement(ctx, 0)
	return index > 0 && !now.Waiting, err
}

// Settle waits until the store is settled. Before it begins to, it tells for how long at least.
// A thousand agents may wait at once: who came first looks after the claims, and the others ask
// Consul to tell them of the end, or do it in the place of one who is dead. Who could not speak
// to Consul for a while goes on from there when it is called again.
func (s *Store) Settle(ctx context.Context, waiting func(time.Duration)) error {
	if settled, err := s.Settled(ctx); err != nil || settled {
		return err
	}
	waiting(settlingFor)
	var known uint64
	for {
		now, index, err := s.settlement(ctx, known)
		if err != nil || index > 0 && !now.Waiting {
			return err
		}
		s.settling.sees(time.Now(), index)
		switch known = 0; {
		case index > 0 && now.By == s.id:
			err = s.look(ctx, index)
		case index == 0 || s.settling.waited(time.Now()) > s.takeover:
			err = s.putSettlement(ctx, true, index)
		default:
			known = index
		}
		if err != nil {
			return err
		}
	}
}

// look looks after the claims once, and says so when that is over.
func (s *Store) look(ctx context.Context, index uint64) error {
	claims, err := s.latestClaim(ctx)
	if err != nil {
		return err
	}
	if s.settling.over(time.Now(), claims) {
		return s.putSettlement(ctx, false, index)
	}
	return pause(ctx, lookEvery)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settlement is what is said now; if an index is known, as soon as something else is, or
// after some time.
func (s *Store) settlement(ctx context.Context, known uint64) (now settlement, index uint64, err error) {
	var pair *api.KVPair
	opts := &api.QueryOptions{RequireConsistent: true}
	if known > 0 {
		opts = &api.QueryOptions{WaitIndex: known, WaitTime: min(blockFor, s.takeover)}
	}
	err = s.try(ctx, "reading "+s.keys.settled, func(ctx context.Context) (err error) {
		pair, _, err = s.client.KV().Get(s.keys.settled, opts.WithContext(ctx))
		opts.WaitIndex = 0 // another try may ask a Consul that has lost its data, see Await
		return err
	})
	if err != nil || pair == nil {
		return settlement{}, 0, err
	}
	if err := json.Unmarshal(pair.Value, &now); err != nil {
		return settlement{}, 0, &valueError{s.keys.settled, err}
	}
	return now, pair.ModifyIndex, nil
}

// putSettlement writes the key if it is as it was read. Who comes second reads what the first
// one wrote.
func (s *Store) putSettlement(ctx context.Context, waiting bool, index uint64) error {
	said := settlement{When: time.Now().UTC().Truncate(time.Millisecond), From: s.who, Waiting: waiting}
	if waiting {
		said.By = s.id
	}
	value, err := json.Marshal(said)
	if err != nil {
		return err
	}
	pair := &api.KVPair{Key: s.keys.settled, Value: value, ModifyIndex: index}
	return s.try(ctx, "writing "+s.keys.settled, func(ctx context.Context) error {
		_, _, err := s.client.KV().CAS(pair, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
}

// latestClaim is the index of the latest claim of the stack, or on a VNI; 0 for none. Consul
// sends no more than the names of networks for that.
func (s *Store) latestClaim(ctx context.Context) (latest uint64, err error) {
	for _, place := range []string{s.keys.vnis, s.keys.root + claimDir} {
		err = s.try(ctx, "looking for claims", func(ctx context.Context) error {
			keys, meta, err := s.client.KV().Keys(place, "/", consistent(ctx))
			if err == nil && len(keys) > 0 { // else it is the index of something else
				latest = max(latest, meta.LastIndex)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return latest, nil
}
